"""Whatever is stored, at whatever cut, found or not: a run computes the same bytes."""

import pytest
import torch

from tlf.cache import Entry
from tlf.engine import running
from tlf_builtin.cpu.device import Cpu

from .runs import ALL, TINY

MOBILE = "timm/mobilenetv3_small_050"
SHUFFLE = "torchvision/shufflenet_v2_x0_5"
TRANSFORMER = "timm/vit_tiny_patch16_224"

STRATEGIES = ("feature-extraction", "gradual-unfreezing")
VIEWS = ("none", 1, 3, "every-epoch")
PRECISIONS = ("float32", "bfloat16")
OFF = {"mode": "off"}


def changes(strategy, views, precision):
    return {
        "strategy": strategy,
        "training": {"views": views},
        "device": {"options": {"precision": precision}},
    }


@pytest.fixture
def plain_run(run, monkeypatch, cache_directory):
    """Run without a cache; return what came of it, and the boundary of each step."""

    def plain_run(backbone, **spec):
        found = []

        def noted(*arguments):
            found.append(boundaries(*arguments))
            return found[-1]

        boundaries = running.boundaries
        with monkeypatch.context() as patch:
            patch.setattr(running, "boundaries", noted)
            plain = run(backbone, cache=OFF, **spec)
        assert {step["level"] for step in plain.steps} == {"none"}
        assert not cache_directory.exists()
        return plain, found[0]

    return plain_run


@pytest.fixture
def compare(run, plain_run, force, monkeypatch, cache_directory):
    """Compare runs of one spec: without a cache, with one, and with one at some of the cuts."""

    def compare(backbone, choose, **spec):
        plain, frozen = plain_run(backbone, **spec)
        for cut in choose(max(frozen)):
            force(cut)
            for state in ("cold", "warm"):
                cached = run(backbone, **spec)
                assert cached.results == plain.results, f"cut {cut}, {state}"
                assert [step["cut"] for step in cached.steps] == [min(cut, f) for f in frozen]
                assert [step["rows_computed"] for step in cached.steps] == [0] * len(frozen)
                assert [step["rows_found"] > 0 for step in cached.steps] == [f > 0 for f in frozen]
                assert cached.warnings == []

    return compare


def every_cut(frozen):
    return range(1, frozen + 1)


def some_cuts(frozen):
    return (1, frozen // 2, frozen)


@pytest.mark.parametrize(
    ("backbone", "strategy", "views", "precision"),
    [
        (TINY, "feature-extraction", "none", "bfloat16"),
        (TINY, "feature-extraction", 1, "float32"),
        (TINY, "gradual-unfreezing", 3, "float32"),
        (TINY, "gradual-unfreezing", "every-epoch", "bfloat16"),
        pytest.param(
            MOBILE, "feature-extraction", "every-epoch", "float32", marks=pytest.mark.slow
        ),
        (SHUFFLE, "gradual-unfreezing", 1, "bfloat16"),
        pytest.param(TRANSFORMER, "feature-extraction", 3, "float32", marks=pytest.mark.slow),
        pytest.param(TRANSFORMER, "gradual-unfreezing", 1, "bfloat16", marks=pytest.mark.slow),
    ],
)
def test_a_run_computes_the_same_bytes_with_and_without_a_cache(
    compare, backbone, strategy, views, precision
):
    compare(backbone, some_cuts, **changes(strategy, views, precision))


@pytest.mark.slow
@pytest.mark.parametrize("views", VIEWS)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    "backbone",
    [TINY, MOBILE, SHUFFLE, TRANSFORMER],
)
def test_a_run_computes_the_same_bytes_at_every_cut(compare, backbone, strategy, views, precision):
    compare(backbone, every_cut, **changes(strategy, views, precision))


@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("backbone", ["torchvision/mobilenet_v2", "torchvision/swin_t"])
def test_so_it_does_with_deeper_networks(compare, backbone, strategy, precision):
    compare(backbone, some_cuts, **changes(strategy, 1, precision))


@pytest.mark.parametrize("strategy", [*STRATEGIES, "full-fine-tuning"])
@pytest.mark.parametrize("precision", ["float32", pytest.param("bfloat16", marks=pytest.mark.slow)])
def test_so_it_does_with_what_it_decides_to_keep_by_what_it_measures(run, strategy, precision):
    spec = changes(strategy, "every-epoch", precision)
    plain = run(cache=OFF, **spec)
    for state in ("cold", "warm"):
        assert run(**spec).results == plain.results, state


@pytest.mark.parametrize("chunk_size", [1, 7, 64])
def test_so_it_does_in_chunks_of_any_size(compare, monkeypatch, chunk_size):
    """A single image, a number that divides nothing, and more than there are images."""
    create = Cpu.create

    def create_with_chunks(self):
        device = create(self)
        device.chunk_size = chunk_size
        return device

    monkeypatch.setattr(Cpu, "create", create_with_chunks)
    compare(TINY, some_cuts, **changes("feature-extraction", 1, "float32"))


@pytest.mark.parametrize("backbone", [TINY, pytest.param(TRANSFORMER, marks=pytest.mark.slow)])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_one_bit_of_one_stored_row_would_show(run, force, monkeypatch, backbone, precision):
    """What is compared here would be equal as well if nothing that is stored mattered."""
    force()
    spec = changes("feature-extraction", 1, precision)
    expected = run(backbone, **spec)
    read = Entry.read

    def read_wrongly(self, keys):
        found, rows = read(self, keys)
        rows.view(torch.int32 if rows.dtype == torch.float32 else torch.int16).view(-1)[-1] ^= 1
        return found, rows

    monkeypatch.setattr(Entry, "read", read_wrongly)
    wrong = run(backbone, **spec)
    assert wrong.results["model.safetensors"] != expected.results["model.safetensors"]


def test_full_fine_tuning_computes_the_same_bytes_of_images_that_are_stored(run, force):
    spec = changes("full-fine-tuning", 3, "float32")
    plain = run(cache=OFF, **spec)
    force()
    for state in ("cold", "warm"):
        cached = run(**spec)
        assert cached.results == plain.results, state
        assert [step["level"] for step in cached.steps] == ["decoded"]
        # Without a cache each image is decoded to see that it can be, and then in every epoch.
        assert cached.report["images_decoded"] == (ALL if state == "cold" else 0)
    assert plain.report["images_decoded"] == 4 * ALL


@pytest.mark.parametrize("strategy", ["gradual-unfreezing", "full-fine-tuning"])
def test_any_number_of_threads_that_decode_computes_the_same_bytes(
    run, force, cache_directory, monkeypatch, strategy
):
    force(4)
    spec = changes(strategy, 3, "float32")
    plain = run(cache=OFF, **spec)
    for workers in (0, 1, 3):
        spec["training"]["workers"] = workers
        monkeypatch.setenv("TLF_CACHE_DIR", str(cache_directory.with_name(f"of-{workers}")))
        for mode in ("off", "auto", "auto"):
            assert run(cache={"mode": mode}, **spec).results == plain.results, (workers, mode)
