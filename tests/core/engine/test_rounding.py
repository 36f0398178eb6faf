"""A number is rounded in one way, wherever in a tensor it lies and however many threads there are."""

import pytest
import torch
import torch.nn.functional as nnf

from tlf.engine.rounding import GRAIN, VECTORS, EvenRounding, filled_up_length

DTYPES = [torch.float32, torch.bfloat16, torch.float16]

ROUNDED = {
    "sigmoid": torch.sigmoid,
    "silu": nnf.silu,
    "gelu": nnf.gelu,
    "gelu-tanh": lambda x: nnf.gelu(x, approximate="tanh"),
    "tanh": torch.tanh,
    "exp": torch.exp,
    "elu": nnf.elu,
    "mish": nnf.mish,
    "softplus": nnf.softplus,
    "silu in place": lambda x: nnf.silu(x.clone(), inplace=True),
    "sigmoid in place": lambda x: x.clone().sigmoid_(),
}
EXACT = {
    "relu": nnf.relu,
    "relu6": nnf.relu6,
    "hardswish": nnf.hardswish,
    "hardsigmoid": nnf.hardsigmoid,
    "leaky relu": nnf.leaky_relu,
    "sqrt": torch.sqrt,
    "by a number": lambda x: x * 0.3 + 0.7,
}


def numbers(count, dtype):
    drawn = torch.randn(count, generator=torch.Generator().manual_seed(count)) * 3
    return drawn.to(dtype)


def in_full_vectors(function, tensor):
    """What becomes of each number among copies of itself."""
    flat = tensor.reshape(-1)
    return function(flat[:, None].repeat(1, VECTORS).reshape(-1))[::VECTORS].view(tensor.shape)


def same(found, wanted):
    return torch.equal(found.nan_to_num(), wanted.nan_to_num())


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ROUNDED)
def test_a_number_is_rounded_as_in_full_vectors(set_threads, name, dtype, threads):
    function = ROUNDED[name]
    set_threads(1)
    cases = [numbers(count, dtype) for count in (1, 10, 47, 64, 100, GRAIN + 1, 2 * GRAIN + 77)]
    wanted = [in_full_vectors(function, case) for case in cases]
    set_threads(threads)
    for case, right in zip(cases, wanted, strict=True):
        with EvenRounding() as rounding:
            found = function(case)
        assert same(found, right)
        assert rounding.copies == (len(case) != filled_up_length(len(case), threads))


def test_without_it_what_is_left_over_is_rounded_in_another_way(set_threads):
    """The fault itself. Where torch has mended it, all of this can go."""
    set_threads(1)
    case = numbers(20_000, torch.float32)
    parts = torch.cat([torch.sigmoid(part) for part in case.split(7)])
    assert not parts.equal(in_full_vectors(torch.sigmoid, case))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", EXACT)
def test_functions_that_are_left_alone_are_exact_everywhere(set_threads, name, dtype):
    set_threads(1)
    if dtype == torch.float32:
        case = numbers(30_000, dtype)
    else:
        # Every number that there is.
        case = torch.arange(1 << 16, dtype=torch.int32).to(torch.int16).view(dtype)
        case = case[case.isfinite()]
    function = EXACT[name]
    with EvenRounding() as rounding:
        parts = [function(part) for part in case.split(7)]
    assert rounding.copies == 0
    assert same(torch.cat(parts), in_full_vectors(function, case))


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(lambda x: x, id="whole"),
        pytest.param(lambda x: x.contiguous(memory_format=torch.channels_last), id="channels last"),
        pytest.param(lambda x: x[:, 1:4], id="some channels"),
        pytest.param(lambda x: x.transpose(1, 3), id="transposed"),
        pytest.param(lambda x: x[:, :, ::2], id="with gaps"),
        pytest.param(lambda x: x[:, :1].expand(-1, 3, -1, -1), id="expanded"),
    ],
)
def test_views_keep_their_shape_and_what_lies_beside_them(set_threads, view):
    set_threads(1)
    base = numbers(3 * 6 * 8 * 5, torch.float32).view(3, 6, 8, 5)
    case = view(base)
    wanted = in_full_vectors(torch.sigmoid, case)
    before = case.clone(), base.clone()
    with EvenRounding() as rounding:
        found = torch.sigmoid(case)
    assert rounding.copies == 1
    assert found.equal(wanted)
    assert found.stride() == torch.empty_like(case).stride()
    assert case.equal(before[0])
    assert base.equal(before[1])


def test_a_function_in_place_changes_its_own_numbers_and_no_others(set_threads):
    set_threads(1)
    base = numbers(4 * 6 * 7, torch.float32).view(4, 6, 7)
    before = base.clone()
    with EvenRounding() as rounding:
        found = base[:, 2:4].sigmoid_()
    assert rounding.copies == 1
    assert found.data_ptr() == base[:, 2:4].data_ptr()
    assert base[:, 2:4].equal(in_full_vectors(torch.sigmoid, before[:, 2:4]))
    assert base[:, :2].equal(before[:, :2])
    assert base[:, 4:].equal(before[:, 4:])


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 7, 64])
def test_every_threads_share_of_a_filled_up_length_is_full_vectors(threads):
    steps = [1, 2, 63, 64, 65, 1000, GRAIN - 1, GRAIN, GRAIN + 1, 3 * GRAIN - 5, 999_999]
    for count in steps:
        length = filled_up_length(count, threads)
        assert length >= count
        for shares in (threads, min(threads, -(-length // GRAIN))):
            assert length % (shares * VECTORS) == 0
        assert length < 1.2 * count + 2 * threads * VECTORS
        assert filled_up_length(length, threads) == length
