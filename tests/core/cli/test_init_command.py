import json

import pytest

SOURCE = """
from tlf.plugin import DataSource, DataSourceDeclaration, hookimpl


class Source(DataSource):
    @classmethod
    def recognise(cls, folder):
        print("looking at", folder)
        raise KeyError("mine")

    def open(self): ...


@hookimpl
def tlf_data_sources():
    return [DataSourceDeclaration(name="acme/table", summary="a table", target="tlf_acme:Source",
        example_files="tlf_acme:write")]
"""


@pytest.fixture
def place(photographs, tmp_path, monkeypatch):
    """The current folder, with `photos` in it."""
    (tmp_path / "photos").symlink_to(photographs)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_spec_is_on_stdout_alone_and_the_reasons_on_stderr(tlf, place):
    code, out, err = tlf("init", "photos/")
    assert code == 0
    spec = json.loads(out)
    assert spec["data"]["options"] == {"train": "photos/train", "validation": "photos/val"}
    assert out == json.dumps(spec, indent=2) + "\n"
    for word in (
        "data.name",
        "backbone.weights",
        "`feature-extraction`",
        "24 train, 10 validation",
    ):
        assert word in err
    assert err.endswith("\n\nnext: tlf run spec.json\n")


def test_the_reasons_are_few_and_fit_80_columns(tlf, place):
    lines = tlf("init", "photos")[2].splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 24


def test_the_spec_is_valid_where_it_was_made(tlf, place):
    (place / "spec.json").write_text(tlf("init", "photos")[1])
    assert tlf("spec", "validate", "spec.json")[:2] == (0, "ok\n")
    code, out, _ = tlf("plan", "spec.json", "--set", "backbone.weights=none", "--json")
    assert code == 0
    assert json.loads(out)["transforms"]["size"] == 64


def test_a_backbone_and_weights_can_be_chosen(tlf, place):
    _, out, _ = tlf("init", "photos", "--backbone", "torchvision/resnet18", "--weights", "none")
    assert json.loads(out)["backbone"] == {"name": "torchvision/resnet18", "weights": "none"}


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["phtos"], "error: the folder `phtos` does not exist", "did you mean `photos`?"),
        (["file"], "error: `file` is a file, not a folder", "name the folder"),
        (["empty"], "error: the folder `empty` is empty", "name the folder"),
        (["photos/val/red"], "and no folder says its class", "put each image into a folder"),
        (["photos", "--backbone", "torchvision/resnet8"], "no model `resnet8`", "did you mean"),
        (["photos", "--weights", "w.pth"], "`w.pth` does not exist", "`default` takes"),
        ([], "error: missing argument `FOLDER`", "`tlf init --help`"),
    ],
)
def test_an_error_leaves_stdout_empty_and_gives_exit_code_2(tlf, place, words, message, hint):
    (place / "file").write_text("x")
    (place / "empty").mkdir()
    code, out, err = tlf("init", *words)
    assert (code, out) == (2, "")
    assert message in err
    assert hint in err.partition("\n\nhint: ")[2]


def test_a_data_source_that_misbehaves_is_a_warning_and_prints_nothing_into_the_spec(
    tlf, place, install
):
    install("acme", SOURCE)
    code, out, err = tlf("init", "photos")
    assert code == 0
    assert json.loads(out)["data"]["name"] == "image-folder"
    assert "looking at photos" in err
    assert "warning: passed over: the data-source `acme/table`" in err


def test_on_a_terminal_the_command_that_keeps_the_spec_is_named_too(tlf, place, monkeypatch):
    monkeypatch.setattr("tlf.cli.init._is_shown", lambda: True)
    _, out, err = tlf("init", "photos", "--weights", "none")
    assert json.loads(out)
    assert err.endswith(
        "\n\nnext: tlf init photos --weights none > spec.json\nthen: tlf run spec.json\n"
    )


@pytest.mark.parametrize(
    "words", [["~nobody-of-that-name/x"], ["{}", "--weights", "~nobody/w.pth"]]
)
def test_a_home_of_nobody_is_no_bug_of_tlf(tlf, photographs, words):
    code, out, err = tlf("init", *(word.format(photographs) for word in words))
    assert (code, out) == (2, "")
    assert "does not exist" in err


def test_an_empty_name_is_not_the_default(tlf, photographs):
    code, out, err = tlf("init", photographs, "--backbone", "")
    assert (code, out) == (2, "")
    assert "hint:" in err
