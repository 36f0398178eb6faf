"""What is found again and what is not: a row belongs to all that made it, and to nothing else.

With a frozen backbone, `images_through_backbone` counts the rows that a run had to compute.
"""

import os
import shutil
from contextlib import contextmanager

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tlf.cache import Problem

from .runs import ALL, LONG_AGO, TRAIN

#: What it is about: where everything has one view, an image is a row.
ONE_VIEW = {"views": "none"}


@pytest.fixture
def first(run, force):
    """Fill the cache at the boundary, as a run of the spec does."""
    force()
    filled = run(training=ONE_VIEW)
    assert filled.through == ALL
    return filled


@pytest.fixture
def own_pictures(pictures, tmp_path):
    """The same images as everybody's, to be changed."""
    return shutil.copytree(pictures, tmp_path / "pictures")


def data(folder, **options):
    return {"options": {"train": f"{folder}/train", "validation": f"{folder}/val", **options}}


@pytest.fixture
def change_weight(weights, tmp_path):
    """Return a function that changes a bit of a tensor, and returns the file of the new weights."""

    def change_weight(name):
        tensors = load_file(weights("acme/tiny"))
        width = {4: torch.int32, 8: torch.int64}[tensors[name].element_size()]
        tensors[name].view(-1).view(width)[-1] ^= 1
        path = tmp_path / f"without-a-bit-of-{name}.safetensors"
        save_file(tensors, path)
        return {"weights": str(path)}

    return change_weight


def test_the_same_run_finds_everything(run, first):
    again = run(training=ONE_VIEW)
    assert (again.through, again.report["images_decoded"]) == (0, 0)
    assert again.steps[0]["why"] == "everything is stored already"
    assert again.results == first.results


@pytest.mark.parametrize(
    "name",
    [
        "stem.0.weight",
        "second.norm.bias",
        "second.norm.running_mean",
        "third.norm.running_var",
        "hidden.1.bias",
    ],
)
def test_with_one_other_bit_in_the_frozen_part_nothing_is_found(run, first, change_weight, name):
    backbone = change_weight(name)
    assert run(training=ONE_VIEW, backbone=backbone).through == ALL
    # The others are still there.
    assert run(training=ONE_VIEW).through == 0


@pytest.mark.parametrize("name", ["third.convolution.weight", "third.norm.running_mean"])
def test_with_another_weight_behind_the_cut_everything_is_found(run, force, change_weight, name):
    backbone = change_weight(name)
    uncached = run(training=ONE_VIEW, backbone=backbone, cache={"mode": "off"})
    force(3)
    assert run(training=ONE_VIEW).through == ALL
    changed = run(training=ONE_VIEW, backbone=backbone)
    assert changed.through == 0
    assert changed.results == uncached.results


def test_with_another_weight_before_the_cut_and_none_behind_it_nothing_is_found(
    run, force, change_weight
):
    force(3)
    run(training=ONE_VIEW)
    assert run(training=ONE_VIEW, backbone=change_weight("second.norm.weight")).through == ALL


def test_what_is_never_computed_with_is_not_looked_at(run, first, change_weight):
    """The layer that the head replaces."""
    assert run(training=ONE_VIEW, backbone=change_weight("classifier.weight")).through == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"transforms": {"options": {"resize": 37}}},
        {"transforms": {"options": {"flip": 0.4}}},
        {"transforms": {"options": {"mean": [0.5, 0.5, 0.5]}}},
        {"transforms": {"options": {"interpolation": "bicubic"}}},
        {"transforms": {"name": "plain"}},
        {"device": {"options": {"precision": "bfloat16"}}},
    ],
    ids=str,
)
def test_another_transform_or_precision_finds_nothing(run, first, changes):
    other = run(training=ONE_VIEW, **changes)
    assert other.through == ALL
    # Nor does either take the other's place.
    assert run(training=ONE_VIEW, **changes).through == run(training=ONE_VIEW).through == 0


def test_another_version_of_a_library_finds_nothing(run, first, monkeypatch):
    from tlf.engine.environment import library_versions

    known = library_versions()
    for name in known:
        versions = {**known, name: known[name] + ".post1"}
        monkeypatch.setattr(
            "tlf.engine.descriptions.library_versions", lambda found=versions: found
        )
        assert run(training=ONE_VIEW).through == ALL, name


@pytest.mark.parametrize("kind", ["backbone-family", "transform", "device"])
def test_other_code_of_a_plugin_finds_nothing(run, first, monkeypatch, kind):
    from tlf.engine.descriptions import describe_part

    def describe_changed(registry, of_kind, name):
        described = describe_part(registry, of_kind, name)
        return {**described, "code_digest": "another"} if of_kind == kind else described

    monkeypatch.setattr("tlf.engine.descriptions.describe_part", describe_changed)
    assert run(training=ONE_VIEW).through == ALL


def test_another_version_of_what_is_stored_finds_nothing(run, first, monkeypatch):
    monkeypatch.setattr("tlf.engine.descriptions.FORMAT_VERSION", 10**6)
    assert run(training=ONE_VIEW).through == ALL


def test_another_number_of_threads_finds_nothing(run, first):
    """Sums of other parts come out otherwise in the last digit."""
    threads = torch.get_num_threads()
    try:
        other = run(training=ONE_VIEW, device={"options": {"threads": threads + 1}})
    finally:
        torch.set_num_threads(threads)
    assert (other.report["threads"], other.through) == (threads + 1, ALL)


def test_another_size_of_chunks_finds_nothing(run, first, monkeypatch):
    monkeypatch.setattr("tlf.engine.network.MOST_CHUNKS", 2)
    assert run(training=ONE_VIEW).through == ALL


def test_another_processor_finds_nothing(run, first, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "ANOTHER")
    assert run(training=ONE_VIEW).through == ALL


@contextmanager
def without_avx512_bf16(monkeypatch):
    known = torch.cpu.get_capabilities()
    flipped = {**known, "avx512_bf16": not known.get("avx512_bf16")}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flipped)
    yield


@contextmanager
def with_fewer_instructions(monkeypatch):
    # It works only at the start of a process, but that is when it is set.
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    yield


@contextmanager
def with_rougher_products(monkeypatch):
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def without_onednn(monkeypatch):
    torch._C._set_mkldnn_enabled(False)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(True)


@pytest.mark.parametrize(
    "arithmetic",
    [without_avx512_bf16, with_fewer_instructions, with_rougher_products, without_onednn],
)
def test_other_arithmetic_finds_nothing(run, first, monkeypatch, arithmetic):
    """Each of these changes bits of what the same network makes of the same image."""
    with arithmetic(monkeypatch):
        assert run(training=ONE_VIEW).through == ALL


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 7},
        {"head": {"options": {"dropout": 0.3}}},
        {"training": {"learning_rate": 0.1, "schedule": "linear", "optimizer": {"name": "sgd"}}},
        {"training": {"batch_size": 5, "epochs": 5, "label_smoothing": 0.2}},
        {"training": {"augmentation_seed": 3}},
        {"training": {"workers": 3}},
        {"evaluation": {"metrics": ["accuracy"]}},
        {"name": "another"},
        {"strategy": "acme/head-twice"},
    ],
    ids=str,
)
def test_what_the_frozen_part_does_not_depend_on_finds_everything(run, first, changes):
    other = run(**{**changes, "training": {**ONE_VIEW, **changes.get("training", {})}})
    assert (other.through, other.report["images_decoded"]) == (0, 0)
    assert other.warnings == []


def test_the_first_step_of_another_strategy_finds_everything(run, first):
    other = run(strategy="gradual-unfreezing", training=ONE_VIEW)
    assert [step["name"] for step in other.report["steps"]] == ["head", "thaw-1", "thaw-2"]
    assert (other.steps[0]["rows_found"], other.steps[0]["rows_computed"]) == (ALL, 0)
    # The second step has rows of its own. And what learns is computed again in each epoch.
    assert 0 < other.steps[1]["cut"] < 5
    assert other.through == ALL + 2 * ALL


def test_images_elsewhere_are_found(run, first, own_pictures):
    moved = run(training=ONE_VIEW, data=data(own_pictures))
    assert moved.through == 0
    assert moved.results["model.safetensors"] == first.results["model.safetensors"]


def test_images_in_other_splits_are_found(run, first, pictures):
    swapped = {"train": str(pictures / "val"), "validation": str(pictures / "train")}
    assert run(training=ONE_VIEW, data={"options": swapped}).through == 0


def test_images_under_other_labels_are_found(run, first, own_pictures):
    for split in ("train", "val"):
        folder = own_pictures / split
        (folder / "red").rename(folder / "was-red")
        (folder / "blue").rename(folder / "red")
        (folder / "was-red").rename(folder / "blue")
    relabelled = run(training=ONE_VIEW, data=data(own_pictures))
    assert relabelled.through == 0
    assert relabelled.results["model.safetensors"] != first.results["model.safetensors"]


def test_some_of_the_images_are_found(run, first, pictures):
    few = run(training=ONE_VIEW, data=data(pictures, shots=3))
    assert (few.report["images"]["train"], few.through) == (6, 0)


def test_images_in_one_folder_that_is_split_are_found(run, first, own_pictures):
    folder = own_pictures / "all"
    for path in sorted(own_pictures.glob("*/*/*.bmp")):
        split, name = path.parent.parent.name, path.parent.name
        (folder / name).mkdir(parents=True, exist_ok=True)
        path.rename(folder / name / f"{split}-{path.name}")
    options = {"train": None, "validation": None, "folder": str(folder)}
    assert run(training=ONE_VIEW, data={"options": options}).through == 0


def test_an_image_with_another_name_or_twice_is_found(run, first, own_pictures):
    one = own_pictures / "train" / "red" / "00.bmp"
    shutil.copy(one, one.with_name("once-more.bmp"))
    one.rename(one.with_name("renamed.bmp"))
    more = run(training=ONE_VIEW, data=data(own_pictures))
    assert (more.report["images"]["train"], more.through) == (TRAIN + 1, 0)


def test_a_new_image_is_one_more_row(run, first, own_pictures):
    path = own_pictures / "train" / "blue" / "new.bmp"
    Image.new("RGB", (48, 40), "blue").save(path)
    more = run(training=ONE_VIEW, data=data(own_pictures))
    assert (more.through, more.report["images"]["train"]) == (1, TRAIN + 1)
    assert run(training=ONE_VIEW, data=data(own_pictures)).through == 0
    assert run(training=ONE_VIEW).through == 0


@pytest.mark.parametrize("split", ["train", "val"])
def test_an_image_with_one_other_pixel_is_one_row(run, first, own_pictures, split):
    path = own_pictures / split / "red" / "00.bmp"
    image = Image.open(path)
    image.putpixel((20, 20), tuple(value ^ 1 for value in image.getpixel((20, 20))))
    image.save(path)
    uncached = run(training=ONE_VIEW, data=data(own_pictures), cache={"mode": "off"})
    changed = run(training=ONE_VIEW, data=data(own_pictures))
    assert changed.through == 1
    assert changed.results == uncached.results


def test_an_image_of_the_same_pixels_in_another_file_is_one_row(run, first, own_pictures):
    """It is the file's content that is known, and not what a decoder makes of it."""
    path = own_pictures / "train" / "red" / "00.bmp"
    Image.open(path).save(path.with_suffix(".png"))
    path.unlink()
    assert run(training=ONE_VIEW, data=data(own_pictures)).through == 1


def test_two_equal_images_are_one_row(run, force, own_pictures, open_cache):
    force()
    one = own_pictures / "train" / "red" / "00.bmp"
    for split in ("train", "val"):
        shutil.copy(one, own_pictures / split / "red" / "the-same.bmp")
    source = {**data(own_pictures), "leaks": "warn"}
    cold = run(training=ONE_VIEW, data=source)
    warm = run(training=ONE_VIEW, data=source)
    uncached = run(training=ONE_VIEW, data=source, cache={"mode": "off"})
    assert cold.results == warm.results == uncached.results
    (entry,) = open_cache().entries()
    assert entry.rows == ALL


@pytest.mark.parametrize(
    ("before", "after", "new"),
    [
        ({"views": 1}, {"views": 3}, 2 * TRAIN),
        ({"views": 3}, {"views": 1}, 0),
        ({"views": 3}, {"views": "every-epoch"}, 0),
        ({"views": "none"}, {"views": 1}, TRAIN),
        ({"views": "every-epoch"}, {"views": "every-epoch", "epochs": 4}, TRAIN),
        ({"views": "every-epoch"}, {"views": "every-epoch", "epochs": 2}, 0),
        ({"views": 2}, {"views": 2, "augmentation_seed": 1}, 2 * TRAIN),
        ({"views": 3}, {"views": 3, "seed": 1}, 0),
    ],
    ids=str,
)
def test_views_that_others_had_are_found(run, force, before, after, new):
    force()
    run(training=before)
    after = dict(after)
    assert run(seed=after.pop("seed", 0), training=after).through == new


def test_views_that_no_epoch_uses_are_not_computed(run, force):
    """With fewer epochs than views, another seed takes others."""
    force()
    spec = {"views": 3, "epochs": 1}
    assert run(training=spec).through == ALL
    assert 0 < run(training=spec, seed=1).through < TRAIN


def test_each_part_of_what_is_known_is_an_entry(run, force, open_cache):
    for cut in (2, 4, 5):
        force(cut)
        run(training=ONE_VIEW)
    entries = open_cache().entries()
    assert {(len(one.description["backbone"]["stages"]), one.rows) for one in entries} == {
        (cut, ALL) for cut in (2, 4, 5)
    }
    assert all(one.what.startswith("features of acme/tiny") for one in entries)


def test_decoded_images_are_shared_by_all_that_load_them_alike(run, force):
    """Whatever the weights and the precision are."""
    force()
    spec = {"strategy": "full-fine-tuning", "training": {"views": 3}}
    assert run(**spec).report["images_decoded"] == ALL
    other = {"seed": 1, "device": {"options": {"precision": "bfloat16"}}}
    assert run(**spec, **other).report["images_decoded"] == 0
    assert run(**spec, backbone={"weights": "none"}).report["images_decoded"] == 0
    assert run(**spec, transforms={"options": {"resize": 37}}).report["images_decoded"] == ALL


def test_a_cache_that_the_spec_names_is_the_one_that_is_used(run, force, tmp_path, cache_directory):
    force()
    cache = {"directory": str(tmp_path / "elsewhere")}
    assert [run(training=ONE_VIEW, cache=cache).through for _ in range(2)] == [ALL, 0]
    assert not cache_directory.exists()


@pytest.fixture
def touch_up(own_pictures):
    """Change a byte of an image whose size, time of change and inode stay the same."""

    def touch_up():
        path = own_pictures / "train" / "red" / "00.bmp"
        os.utime(path, (LONG_AGO, LONG_AGO))
        before = path.stat()
        with path.open("r+b") as file:
            middle = before.st_size // 2
            file.seek(middle)
            (byte,) = file.read(1)
            file.seek(middle)
            file.write(bytes([byte ^ 0xFF]))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        after = path.stat()
        assert (after.st_size, after.st_mtime_ns, after.st_ino) == (
            before.st_size,
            before.st_mtime_ns,
            before.st_ino,
        )
        return path

    return touch_up


def test_an_image_that_changes_behind_the_back_of_its_time_is_found_by_verifying(
    run, force, own_pictures, touch_up, open_cache
):
    force()
    spec = {"training": ONE_VIEW, "data": data(own_pictures)}
    before = run(**spec)
    path = touch_up()
    uncached = run(**spec, cache={"mode": "off"})
    assert uncached.results != before.results
    # Documented: it is not read, so it is not noticed.
    unnoticed = run(**spec)
    assert (unnoticed.through, unnoticed.results) == (0, before.results)
    reason = "its content has changed, though its size and its time of change have not"
    assert open_cache().verify() == [Problem(str(path), reason)]
    after = run(**spec)
    assert (after.through, after.results) == (1, uncached.results)
    assert open_cache().verify() == []


def test_an_image_whose_time_of_change_is_another_is_read_and_found_by_its_content(
    run, force, own_pictures
):
    force()
    spec = {"training": ONE_VIEW, "data": data(own_pictures)}
    run(**spec)
    for path in own_pictures.glob("*/*/*.bmp"):
        os.utime(path, (LONG_AGO + 1, LONG_AGO + 1))
    again = run(**spec)
    assert (again.through, again.report["images_decoded"]) == (0, 0)
