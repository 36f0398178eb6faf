import json

import pytest

BROKEN = "raise ImportError('libacme.so is not there')\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A torch home without weights."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))


def test_the_list_has_a_line_for_each_backbone_with_its_weights(tlf):
    code, out, err = tlf("backbones", "list", "torchvision/*")
    assert (code, err) == (0, "")
    heading, *lines = out.splitlines()
    assert heading.split() == ["backbone", "weights"]
    assert len(lines) == 80
    words = dict(line.split(maxsplit=1) for line in lines)
    assert words["torchvision/resnet18"] == "yes"
    assert words["torchvision/vit_h_14"] == "yes" or "licence" in words["torchvision/vit_h_14"]


def test_the_list_is_plain_and_narrow(tlf):
    out = tlf("backbones", "list", "torchvision/")[1]
    assert max(map(len, out.splitlines())) <= 80
    assert out.isascii()


def test_a_long_licence_moves_to_the_left_before_it_passes_the_edge(tlf, monkeypatch):
    from tlf.plugin import WeightsInfo

    info = WeightsInfo("https://a", licence="fair-noncommercial-research-license")
    monkeypatch.setattr(
        "tlf_builtin.torchvision.family.Torchvision.models",
        lambda self: ["short", "of-a-length-that-still-fits", "x" * 60],
    )
    monkeypatch.setattr(
        "tlf_builtin.torchvision.family.Torchvision.weights", lambda self, model: info
    )
    lines = tlf("backbones", "list", "torchvision/*")[1].splitlines()
    assert [len(line) for line in lines[1:]] == [80 - 2 + 2, 80, 72 + 2 + 35]
    assert all(line.endswith("  fair-noncommercial-research-license") for line in lines[1:])


def test_an_address_as_licence_is_left_to_show(tlf, here):
    out = tlf("backbones", "list", "vit_h_14")[1]
    assert "torchvision/vit_h_14" in out
    assert "://" not in out


def test_json_of_the_list_holds_source_digest_licence_and_size(tlf):
    (listed,) = json.loads(tlf("backbones", "list", "torchvision/resnet18", "--json")[1])
    assert listed == {
        "name": "torchvision/resnet18",
        "weights": {
            "source": "https://download.pytorch.org/models/resnet18-f37072fd.pth",
            "digest": "f37072fd",
            "licence": None,
            "size_bytes": listed["weights"]["size_bytes"],
        },
    }


def test_a_pattern_without_a_match_is_refused_with_the_nearest(tlf):
    code, out, err = tlf("backbones", "list", "shufflenetv2x05")
    assert (code, out) == (2, "")
    assert err == (
        "error: no backbone matches `shufflenetv2x05`\n\n"
        "hint: did you mean `torchvision/shufflenet_v2_x0_5`?\n"
    )


def test_a_broken_plugin_is_a_warning_and_the_others_are_listed(tlf, install):
    install("acme", BROKEN)
    code, out, err = tlf("backbones", "list", "mnasnet")
    assert code == 0
    assert "torchvision/mnasnet1_0" in out
    assert err.startswith("warning: the plugin `acme` (tlf-acme 1.2.3) is broken: ")
    assert err.rstrip().endswith("if it provides backbones, they are missing here")


def test_a_reader_that_has_seen_enough_is_no_error(start_tlf):
    process = start_tlf("backbones", "list", "torchvision/")
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 0


def test_show_gives_stages_input_and_weights(tlf, here):
    code, out, err = tlf("backbones", "show", "torchvision/mobilenet_v2")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    words = " ".join(out.split())
    for part in (
        "backbone torchvision/mobilenet_v2",
        "parameters 2,223,872 in 19 stages",
        "features 1280 an image",
        "input 224 pixels square, cut out of 232, bilinear",
        "mean 0.485 0.456 0.406 std 0.229 0.224 0.225",
        "weights https://download.pytorch.org/models/mobilenet_v2-7ebf99e0.pth",
        "digest sha256 7ebf99e0 …",
        "here no: `tlf run` downloads them, 14.3 MB",
        "features.18 1280 412,160 6.7%",
    ):
        assert part in words


def test_show_says_where_weights_are_that_are_here(tlf, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub" / "checkpoints" / "mobilenet_v2-7ebf99e0.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    out = tlf("backbones", "show", "torchvision/mobilenet_v2")[1]
    assert str(path) in "".join(out.split())
    shown = json.loads(tlf("backbones", "show", "torchvision/mobilenet_v2", "--json")[1])
    assert shown["local_weights"] == str(path)


def test_show_says_what_the_split_lacks(tlf, here):
    out = tlf("backbones", "show", "torchvision/alexnet")[1]
    assert "stages lack one tensor holds 66% of the parameters" in " ".join(out.split())


def test_show_takes_another_size(tlf, here):
    words = ("backbones", "show", "torchvision/mobilenet_v2", "--size", "64")
    assert "GFLOPs an image of 64 pixels" in tlf(*words)[1]
    shown = json.loads(tlf(*words, "--json")[1])
    assert (shown["image_size"], shown["input_config"]["size"]) == (64, 224)
    assert shown["stages"][0]["output_shape"] == [32, 32, 32]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["torchvision/mobilnet_v2"], "did you mean `torchvision/mobilenet_v2`?"),
        (["tochvision/resnet18"], "did you mean `torchvision/resnet18`?"),
        (["torchvision/alexnet", "--size", "16"], "take 224, the size that its weights"),
        (["torchvision/alexnet", "--size", "0"], "`tlf backbones show --help`"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_a_way_out(tlf, words, said):
    code, out, err = tlf("backbones", "show", *words)
    assert (code, out) == (2, "")
    assert said in err.partition("\n\nhint: ")[2]
