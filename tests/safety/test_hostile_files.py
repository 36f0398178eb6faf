"""A file that somebody sends is data, wherever it is put: a pickle in it never runs."""

import io
import json
import os
import pickle

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

import tlf
from tlf.errors import OutputError, WeightsError
from tlf_builtin.timm.family import Timm
from tlf_builtin.timm.options import TimmOptions

TORCHVISION = "torchvision/shufflenet_v2_x0_5"


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def of_torch(value, **how):
    content = io.BytesIO()
    torch.save(value, content, **how)
    return content.getvalue()


def of_numpy(value):
    content = io.BytesIO()
    np.save(content, np.array([value], dtype=object), allow_pickle=True)
    return content.getvalue()


FORMS = {
    "pickle": pickle.dumps,
    "old pickle": lambda value: pickle.dumps(value, protocol=0),
    "torch": lambda value: of_torch({"conv1.0.weight": value}),
    "old torch": lambda value: of_torch({"a": value}, _use_new_zipfile_serialization=False),
    "numpy": of_numpy,
}


def unpickle(form, content):
    """Read a file as carelessly as can be."""
    if form == "numpy":
        return np.load(io.BytesIO(content), allow_pickle=True)
    if "torch" in form:
        return torch.load(io.BytesIO(content), weights_only=False)
    return pickle.loads(content)


@pytest.fixture
def marker(tmp_path):
    """What must not be there when the test is over."""
    place = tmp_path / "the payload ran"
    yield place
    assert not place.exists()


@pytest.fixture(params=FORMS)
def hostile(request, marker):
    """The content of a file that runs code when it is read without care, as is shown here."""
    content = FORMS[request.param](Payload(marker))
    unpickle(request.param, content)
    marker.rmdir()
    return content


@pytest.fixture
def pickled(marker):
    """A pickle that runs code."""
    return pickle.dumps(Payload(marker))


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_a_weights_file_that_holds_code_is_refused(command, small_spec, tmp_path, hostile, suffix):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(hostile)
    small_spec["backbone"]["weights"] = str(path)
    (tmp_path / "spec.json").write_text(json.dumps(small_spec))
    code, out, err = command("run", tmp_path / "spec.json")
    assert (code, out) == (2, "")
    assert f"error: `{path}`" in err
    assert "\nhint: " in err
    assert not list(tmp_path.glob("runs/*"))


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """torch's own cache, in a folder of the test's."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.mark.parametrize("is_there", [True, False], ids=["found", "fetched"])
def test_weights_of_torchvision_that_hold_code_are_refused(
    small_spec, hostile, hub, monkeypatch, is_there
):
    small_spec["backbone"] = {"name": TORCHVISION, "weights": "default"}
    address = torchvision.models.get_model_weights("shufflenet_v2_x0_5").DEFAULT.url

    def download(url, destination, digest, progress):
        assert url == address
        assert address.endswith(f"-{digest}.pth")
        with open(destination, "wb") as file:  # noqa: PTH123 - as torch does
            file.write(hostile)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    if is_there:
        (hub / "checkpoints").mkdir(parents=True)
        (hub / "checkpoints" / address.rpartition("/")[2]).write_bytes(hostile)
    with pytest.raises(WeightsError, match="cannot be read as plain tensors"):
        tlf.run(small_spec)


def test_weights_of_timms_hub_that_hold_code_are_refused(
    small_spec, hostile, monkeypatch, tmp_path
):
    small_spec["backbone"] = {"name": "timm/mobilenetv3_small_050", "weights": "default"}
    path = tmp_path / "model.safetensors"
    path.write_bytes(hostile)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda **place: None)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda **place: str(path))
    with pytest.raises(WeightsError, match="is no readable safetensors file"):
        tlf.run(small_spec)


def test_the_libraries_own_readers_are_never_asked(small_spec, hub, monkeypatch):
    """They unpickle; only the file itself is fetched."""

    def refuse(*arguments, **options):
        raise AssertionError("a library reads weights by itself")

    def download(url, destination, *rest, **options):
        torch.save(torchvision.models.shufflenet_v2_x0_5().state_dict(), destination)

    small_spec["backbone"] = {"name": TORCHVISION, "weights": "default"}
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", refuse)
    monkeypatch.setattr("timm.models._builder.load_pretrained", refuse)
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    assert tlf.run(small_spec).directory.is_dir()
    assert Timm(TimmOptions()).create("mobilenetv3_small_050", 32)


FILES_OF_A_RUN = (
    "model.safetensors", "model.json", "report.json", "plan.json", "environment.json", "splits.json",
    "spec.json", "predictions.jsonl", "metrics.jsonl", "timings.jsonl", "analysis.json",
)  # fmt: skip


@pytest.mark.parametrize("name", FILES_OF_A_RUN)
def test_a_file_of_a_run_that_holds_code_runs_nothing(command, own_run, photographs, pickled, name):
    (own_run / name).write_bytes(pickled)
    for words in (("predict", own_run, photographs / "val" / "red"), ("report", own_run)):
        code, _, err = command(*words)
        assert code in (0, 2), err
        assert "error: " in err or code == 0


def test_a_network_that_holds_code_is_refused(own_run, hostile):
    (own_run / "model.safetensors").write_bytes(hostile)
    with pytest.raises(OutputError, match="cannot be read"):
        tlf.load(own_run)


def test_a_comparison_that_holds_code_runs_nothing(command, tmp_path, pickled):
    (tmp_path / "comparison.json").write_bytes(pickled)
    code, out, err = command("report", tmp_path)
    assert (code, out) == (2, "")
    assert "comparison.json` cannot be read" in err


def test_files_of_the_cache_that_hold_code_run_nothing_and_change_nothing(
    small_spec, cache_directory, pickled
):
    before = tlf.run(small_spec).directory / "metrics.jsonl"
    kept = [path for path in cache_directory.rglob("*") if path.is_file()]
    assert {path.suffix for path in kept} >= {".safetensors", ".json", ".sqlite"}
    for path in kept:
        path.write_bytes(pickled)
    after = tlf.run(small_spec).directory / "metrics.jsonl"
    assert after.read_bytes() == before.read_bytes()


def test_an_image_that_holds_code_is_no_image(command, own_run, tmp_path, hostile):
    (tmp_path / "photo.png").write_bytes(hostile)
    code, _, err = command("predict", own_run, tmp_path / "photo.png")
    assert code == 2
    assert "cannot be read: no image in a format that is known" in err


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"


def test_an_image_is_handed_to_no_other_program(command, own_run, tmp_path, monkeypatch):
    """PIL would have PostScript, which is a program, run by whatever is called `gs`."""
    (tmp_path / "photo.png").write_bytes(POSTSCRIPT)
    (tmp_path / "bin").mkdir()
    gs = tmp_path / "bin" / "gs"
    gs.write_text(f"#!/bin/sh\necho ran >> '{tmp_path / 'ran'}'\n")
    gs.chmod(0o755)
    monkeypatch.setenv("PATH", str(gs.parent), prepend=os.pathsep)
    with pytest.raises(OSError), Image.open(tmp_path / "photo.png") as image:  # noqa: PT011 - PIL's own
        image.load()
    assert (tmp_path / "ran").read_text().startswith("ran")
    (tmp_path / "ran").unlink()
    code, _, err = command("predict", own_run, tmp_path / "photo.png")
    assert code == 2
    assert "a PostScript file, which is a program and no image" in err
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_a_module_in_the_current_folder_is_not_taken_for_the_librarys(
    small_spec, tmp_path, monkeypatch
):
    """The processes of a comparison would otherwise run what lies beside somebody's images."""
    (tmp_path / "here").mkdir()
    for name in ("json", "torch", "tlf"):
        (tmp_path / "here" / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path / "here")
    done = tlf.compare(small_spec, ["knn"], jobs=2)
    assert (done.failed, (tmp_path / "ran").exists()) == (0, False)


def test_a_file_that_is_a_link_out_of_a_run_is_replaced_and_not_written_through(
    command, own_run, tmp_path
):
    target = tmp_path / "somebody else's"
    target.write_text("theirs")
    for name in ("report.html", "analysis.json"):
        (own_run / name).unlink(missing_ok=True)
        (own_run / name).symlink_to(target)
    assert command("report", own_run)[0] == 0
    assert target.read_text() == "theirs"
    assert not (own_run / "report.html").is_symlink()


def test_a_link_in_the_place_of_a_run_is_left_alone(small_spec, tmp_path):
    target = tmp_path / "somebody else's"
    target.mkdir()
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "small").symlink_to(target)
    (tmp_path / "runs" / "small-2").symlink_to(tmp_path / "nowhere")
    assert tlf.run(small_spec).directory == tmp_path / "runs" / "small-3"
    assert not list(target.iterdir())
    assert not (tmp_path / "nowhere").exists()
