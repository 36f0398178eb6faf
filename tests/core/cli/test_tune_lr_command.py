"""`tlf tune-lr`."""

import json
import signal
from xml.etree import ElementTree

import pytest

from tlf.engine.learning_rates import LearningRates, MeasuredRate, Repeat, StepRates
from tlf.engine.rate_rules import Curve, geometric
from tlf.engine.tuning import tune_lr

RATES = geometric(1e-4, 1.0, 20)


def measured(*falls):
    """What curves come to that fall at some places of the rates; None for a flat one."""
    repeats = [
        Repeat.of(seed, Curve(RATES, tuple(0.2 if fall and n > fall else 0.7 for n in range(20))))
        for seed, fall in enumerate(falls)
    ]
    return MeasuredRate((), 2e-3, tuple(repeats))


def rates(*steps):
    made = [
        StepRates(name, "train", 5, one)
        if isinstance(one, MeasuredRate)
        else StepRates(name, one, 0)
        for name, one in steps
    ]
    return LearningRates("run", 2e-3, tuple(made))


ONE = rates(("head", measured(8, 8, 9)))


@pytest.fixture
def found(monkeypatch):
    """Let every search come to some rates, at once; return what it was asked for."""
    asked = []

    def come_to(result, meanwhile=lambda: None):
        def search(spec, **options):
            asked.append({"spec": spec, **options})
            meanwhile()
            return result

        monkeypatch.setattr("tlf.engine.tuning.tune_lr", search)
        return asked

    return come_to


def test_a_real_search_prints_a_table_and_json_and_draws(tlf, spec_file, tmp_path):
    picture = tmp_path / "curves.svg"
    words = ("tune-lr", spec_file, "--batches", "10", "--from", "1e-2", "--repeats", "1")
    code, out, err = tlf(*words, "--output", picture)
    assert code == 0, err
    assert max(map(len, out.splitlines())) <= 80
    assert out.splitlines()[0].split() == [
        "step",
        "epochs",
        "planned",
        "rate",
        "repeats",
        "lost",
        "above",
    ]
    assert "\x1b" not in out
    assert "step head, repeat 1 of 1:" in err
    assert f"curves: {picture}" in err
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")
    assert not (tmp_path / "runs").exists()


def test_options_and_defaults_are_those_of_python(tlf, found, spec_file):
    asked = found(ONE)
    tlf("tune-lr", spec_file)
    words = ("--batches", "99", "--from", "1e-3", "--to", "2", "--repeats", "7", "--groups")
    tlf("tune-lr", spec_file, *words, "--set", "seed=3")
    plain, other = [{k: v for k, v in one.items() if k != "listener"} for one in asked]
    defaults = tune_lr.__kwdefaults__
    assert plain == {
        "spec": str(spec_file),
        **{k: v for k, v in defaults.items() if k != "listener"},
    }
    assert other == {
        "spec": str(spec_file), "overrides": ["seed=3"], "batches": 99, "lowest": 1e-3, "highest": 2.0,
        "repeats": 7, "groups": True,
    }  # fmt: skip


def test_what_was_found_is_said_for_people_and_for_programs(tlf, found, spec_file):
    found(rates(("probe", "lbfgs"), ("all", measured(8, 8, None))))
    code, out, err = tlf("tune-lr", spec_file)
    assert code == 0
    assert "probe: nothing to tune: the head is solved for" in out
    assert "all: 1 of 3 repeats were flat" in out
    assert "(the spec says 0.002)" in out
    assert "next: tlf run" in err
    data = json.loads(tlf("tune-lr", spec_file, "--json")[1])
    assert (data["picture"], data["written"]) == (None, False)
    assert f"training.learning_rate: {data['learning_rate']:g} " in out
    assert len(data["steps"][1]["together"]["repeats"][0]["curve"]["losses"]) == 20


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (rates(("head", "knn")), "no step of this plan trains by gradient descent"),
        (rates(("head", measured(None, None))), "every curve is flat"),
        (rates(("head", measured(4, 16))), "the repeats of step head disagree by a factor of 10"),
    ],
)
def test_where_there_is_no_rate_none_is_written_and_the_code_is_0(
    tlf, found, spec_file, tmp_path, result, words
):
    found(result)
    before = spec_file.read_bytes()
    code, out, err = tlf("tune-lr", spec_file, "--write")
    assert code == 0
    assert words in out
    assert "nothing was written into the spec" in err
    assert spec_file.read_bytes() == before


def test_write_changes_the_number_and_nothing_else(tlf, found, spec_file):
    found(ONE)
    before = '{\r\n "seed":1 ,"training":{ "learning_rate": 0.5, "epochs":2}}'
    spec_file.write_bytes(before.encode())
    code, _, err = tlf("tune-lr", spec_file, "--write")
    assert code == 0
    rate = ONE.learning_rate
    assert spec_file.read_bytes().decode() == before.replace("0.5", f"{rate:g}")
    assert f"wrote training.learning_rate {rate:g} into {spec_file}" in err
    assert [path.name for path in spec_file.parent.glob("*.tmp")] == []
    assert "--set" not in err
    _, _, err = tlf("tune-lr", spec_file, "--write", "--set", "seed=3")
    assert "found with the fields changed that `--set` names" in err


def test_a_spec_that_was_changed_meanwhile_is_left_alone(tlf, found, spec_file):
    found(ONE, meanwhile=lambda: spec_file.write_text("{}"))
    code, _, err = tlf("tune-lr", spec_file, "--write")
    assert code == 2
    assert f"`{spec_file}` has changed since it was read, and was left alone\n\nhint: " in err
    assert spec_file.read_text() == "{}"


def test_a_spec_from_stdin_has_no_place_to_write_to(tlf):
    code, out, err = tlf("tune-lr", "-", "--write")
    assert (code, out) == (2, "")
    assert "`--write` has no file to write to" in err
    assert "hint: name the spec file" in err


@pytest.mark.parametrize(
    ("name", "words", "hint"),
    [
        ("there.svg", "is there already, and is not overwritten", "hint: remove it"),
        ("link.svg", "is there already, and is not overwritten", "hint: remove it"),
        ("curves.png", "is no name of a picture that can be drawn", "curves.svg`"),
        ("nowhere/curves.svg", "cannot be written: there is no folder", "make the folder first"),
    ],
)
def test_a_picture_that_cannot_be_written_is_told_before_anything_is_tested(
    tlf, found, spec_file, tmp_path, name, words, hint
):
    asked = found(ONE)
    (tmp_path / "there.svg").write_text("mine")
    (tmp_path / "link.svg").symlink_to("gone.svg")
    code, out, err = tlf("tune-lr", spec_file, "--output", tmp_path / name)
    assert (code, out, asked) == (2, "", [])
    assert f"error: `{tmp_path / name}` {words}" in err
    assert hint in err
    assert (tmp_path / "there.svg").read_text() == "mine"


def test_a_picture_that_appeared_meanwhile_is_not_overwritten(tlf, found, spec_file, tmp_path):
    picture = tmp_path / "curves.svg"
    found(ONE, meanwhile=lambda: picture.write_text("mine"))
    code, _, err = tlf("tune-lr", spec_file, "--output", picture)
    assert code == 2
    assert "is there already" in err
    assert picture.read_text() == "mine"


def test_mistakes_are_told_with_what_is_near(tlf, spec_file, tmp_path):
    code, _, err = tlf("tune-lr", tmp_path / "sepc.json")
    assert code == 2
    assert f"hint: did you mean `{spec_file}`?" in err
    code, _, err = tlf("tune-lr", spec_file, "--set", "training.learning_rat=1")
    assert code == 2
    assert "did you mean `learning_rate`?" in err
    code, _, err = tlf("tune-lr", spec_file, "--from", "1", "--to", "0.1")
    assert code == 2
    assert "the lowest rate `1` is not below the highest, `0.1`" in err


@pytest.mark.slow
def test_ctrl_c_leaves_at_once_and_nothing_behind(start_tlf, spec_file, tmp_path):
    before = spec_file.read_bytes()
    picture = tmp_path / "curves.svg"
    words = ("--batches", "100000", "--write", "--output", picture)
    process = start_tlf("tune-lr", spec_file, *words)
    assert "range tests for" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "stopped" in err
    assert "Traceback" not in err
    assert spec_file.read_bytes() == before
    assert not picture.exists()
