"""The one function of everything frozen: what it computes, and that neighbours change nothing."""

import copy
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from tlf.engine import inference as inference_module
from tlf.engine.inference import Inference, empty_rows, in_chunks
from tlf.engine.network import head_logits
from tlf.plugin import BackboneFamily, InputConfig, Options
from tlf.plugin.stages import build_backbone
from tlf_builtin.cpu.device import CpuDevice
from tlf_builtin.timm.family import Timm
from tlf_builtin.timm.options import TimmOptions
from tlf_builtin.torchvision.family import Torchvision

PRECISIONS = ["float32", "bfloat16"]


def device(precision="float32"):
    return CpuDevice(precision, "for a test")


def spoilt(backbone, seed=0):
    """A backbone whose norms do something: as drawn, they would nearly be left out unnoticed."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(like, low, high):
        return torch.rand(like.shape, generator=generator) * (high - low) + low

    for module in backbone.module.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data = uniform(module.weight, 0.6, 1.4)
            module.bias.data = uniform(module.bias, -0.3, 0.3)
            module.running_mean = uniform(module.running_mean, -0.2, 0.2)
            module.running_var = uniform(module.running_var, 0.5, 1.5)
    for stage in backbone.stages:
        stage.eval()
    backbone.module.to(memory_format=torch.channels_last)
    return backbone


NETWORKS = {
    "torchvision/resnet18": (Torchvision, Options, "resnet18"),
    "torchvision/mobilenet_v2": (Torchvision, Options, "mobilenet_v2"),
    "torchvision/shufflenet_v2_x0_5": (Torchvision, Options, "shufflenet_v2_x0_5"),
    "torchvision/densenet121": (Torchvision, Options, "densenet121"),
    "timm/mobilenetv3_small_050": (Timm, TimmOptions, "mobilenetv3_small_050"),
    "timm/efficientnet_b0": (Timm, TimmOptions, "efficientnet_b0"),
    "timm/rexnet_100": (Timm, TimmOptions, "rexnet_100"),
}
SIZE = 64


@pytest.fixture
def build():
    """Build one of some networks."""

    def build(name):
        family, options, model = NETWORKS[name]
        with torch.random.fork_rng():
            torch.manual_seed(3)
            return spoilt(build_backbone(family(options()), model, SIZE))

    return build


@pytest.fixture
def mobile(build):
    return build("timm/mobilenetv3_small_050")


def images(count, size=SIZE):
    generator = torch.Generator().manual_seed(1)
    drawn = torch.randn(count, 3, size, size, generator=generator)
    return drawn.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def plainly(backbone, tensor):
    """What the library's own network says, every layer as it is written, in float64."""
    module = copy.deepcopy(backbone.module).double()
    return module(tensor.double())


@pytest.mark.parametrize("name", NETWORKS)
def test_the_networks_own_features_come_out_within_rounding(build, name):
    backbone = build(name)
    inference = Inference(backbone, device(), 4)
    rows = images(6)
    found = inference.run(rows, 0, inference.stages)
    wanted = plainly(backbone, rows)
    assert found.dtype == torch.float32
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max() <= 1e-5 * max(1.0, float(wanted.abs().max()))


@pytest.mark.parametrize("name", NETWORKS)
def test_norms_that_can_be_folded_are_not_computed_any_more(build, name):
    backbone = build(name)
    inference = Inference(backbone, device(), 4)
    calls = []

    class Counting(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            calls.append("batch_norm" in str(func))
            return func(*args, **(kwargs or {}))

    with torch.no_grad(), Counting():
        backbone(images(1))
    before = sum(calls)
    calls.clear()
    inference.prepare()
    with Counting():
        inference.run(images(1), 0, inference.stages)
    norms = [m for m in backbone.module.modules() if isinstance(m, nn.BatchNorm2d)]
    assert before == len(norms) > 0
    assert sum(calls) == before - len(backbone.folds)
    assert len(backbone.folds) >= before / 3


class Hand(nn.Module):
    """A small network with a norm that folds into a convolution without a bias, and one with."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 5, 3, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(5, eps=1e-2)
        self.second = nn.Conv2d(5, 10, 3, groups=5, padding=1)
        self.other = nn.BatchNorm2d(10)
        self.last = nn.Conv2d(10, 6, 1)
        self.fc = nn.Linear(6, 2)

    def forward(self, x):
        x = self.norm(self.first(x)).relu()
        x = self.other(self.second(x)).relu()
        return self.fc(self.last(x).mean((2, 3)))


class HandFamily(BackboneFamily[Options]):
    """A family of that network, or of another that a test gives."""

    network = Hand

    def models(self):
        return ["hand"]

    def input_config(self, model):
        return InputConfig(size=16, resize=16)

    def create(self, model, image_size):
        return self.network()

    def classifier(self, network):
        return "fc"


def made_by_hand(network=Hand):
    family = type(f"FamilyOf{network.__name__}", (HandFamily,), {"network": network})
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return spoilt(build_backbone(family(Options()), "hand", 16))


def folded_by_hand(convolution, norm, inputs):
    """A convolution and a norm after it, as one convolution with other numbers, in float64."""
    factor = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    weight = convolution.weight.double() * factor[:, None, None, None]
    bias = 0.0 if convolution.bias is None else convolution.bias.double()
    shift = (bias - norm.running_mean.double()) * factor + norm.bias.double()
    return nn.functional.conv2d(
        inputs,
        weight,
        shift,
        stride=convolution.stride,
        padding=convolution.padding,
        groups=convolution.groups,
    )


def test_a_fold_is_the_convolution_that_is_worked_out_by_hand():
    backbone = made_by_hand()
    network = backbone.module
    rows = images(5, 16)
    with torch.no_grad():
        crossing = folded_by_hand(network.first, network.norm, rows.double()).relu()
        second = folded_by_hand(network.second, network.other, crossing).relu()
        pooled = copy.deepcopy(network.last).double()(second).mean((2, 3))
    inference = Inference(backbone, device(), 2)
    assert len(backbone.folds) == 2
    assert (inference.run(rows, 0, inference.stages) - pooled).abs().max() < 1e-5
    # What crosses between two stages is what the network has there.
    names = [stage.name for stage in backbone.stages]
    assert (inference.run(rows, 0, names.index("second")) - crossing).abs().max() < 1e-5


@pytest.mark.parametrize("name", ["torchvision/resnet18", "timm/mobilenetv3_small_050"])
def test_what_crosses_every_cut_is_what_the_network_has_there(build, name):
    backbone = build(name)
    inference = Inference(backbone, device(), 4)
    rows = images(3)
    crossing = rows
    for stage in range(inference.stages):
        with torch.no_grad():
            wanted = backbone.run(rows, 0, stage + 1)
        crossing = inference.run(crossing, stage, stage + 1)
        scale = max(1.0, float(wanted.abs().max()))
        assert (crossing - wanted).abs().max() <= 1e-5 * scale


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ["torchvision/shufflenet_v2_x0_5", "timm/mobilenetv3_small_050"])
def test_parts_give_what_the_whole_gives_bit_for_bit(build, name, precision):
    inference = Inference(build(name), device(precision), 4)
    rows = images(6)
    whole = inference.run(rows, 0, inference.stages)
    for wanted in range(inference.stages + 1):
        cut = inference.exact_cut(wanted)
        assert cut <= wanted
        crossing = inference.run(rows, 0, cut)
        assert inference.run(crossing, cut, inference.stages).equal(whole)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_row_depends_neither_on_order_nor_on_neighbours_nor_on_how_many_there_are(
    mobile, precision
):
    inference = Inference(mobile, device(precision), 4)
    rows = images(11)
    stages = inference.stages
    together = inference.run(rows, 0, stages)
    assert inference.run(rows.flip(0), 0, stages).flip(0).equal(together)
    order = torch.randperm(11, generator=torch.Generator().manual_seed(2))
    assert inference.run(rows[order], 0, stages).equal(together[order])
    for count in (1, 2, 3, 4, 5, 8):
        assert inference.run(rows[:count], 0, stages).equal(together[:count])
    for row in range(11):
        assert inference.run(rows[row : row + 1], 0, stages)[0].equal(together[row])
    # Neighbours of another size altogether, and what is no number.
    for neighbour in (1e4, float("nan"), float("inf")):
        among = rows[:4].clone()
        among[[0, 1, 3]] = neighbour
        assert inference.run(among, 0, stages)[2].equal(together[2])


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("name", ["timm/efficientnet_b0", "timm/rexnet_100"])
def test_a_row_depends_on_no_place_in_the_chunk_however_many_threads_share_it(
    build, set_threads, name, threads
):
    """Six or ten numbers a row, as these networks have, fill no whole vectors."""
    inference = Inference(build(name), device(), 8)
    rows = images(8)
    set_threads(threads)
    together = inference.run(rows, 0, inference.stages)
    for places in range(1, 8):
        turned = inference.run(rows.roll(places, 0), 0, inference.stages)
        assert turned.roll(-places, 0).equal(together)


class Placed(Hand):
    """A saboteur: what it makes of an image depends on the image's place."""

    def forward(self, x):
        return super().forward(
            x * (1 + torch.arange(len(x), device=x.device).view(-1, 1, 1, 1) * 1e-6)
        )


def test_images_whose_place_in_a_chunk_matters_are_computed_one_at_a_time():
    inference = Inference(made_by_hand(Placed), device(), 8)
    rows = images(8, 16)
    together = inference.run(rows, 0, inference.stages)
    assert (inference.chunk_size, inference.rows_at_once) == (8, 1)
    alone = Inference(made_by_hand(), device(), 1)
    assert together.equal(alone.run(rows, 0, alone.stages))


@pytest.mark.parametrize("name", ["torchvision/resnet18", "timm/mobilenetv3_small_050"])
def test_images_whose_place_in_a_chunk_does_not_matter_are_computed_in_chunks(build, name):
    assert Inference(build(name), device(), 8).rows_at_once == 8


@pytest.mark.parametrize(
    ("name", "fills_up"),
    [
        ("torchvision/mobilenet_v2", False),
        ("torchvision/shufflenet_v2_x0_5", False),
        ("timm/efficientnet_b0", True),
    ],
)
def test_only_networks_that_leave_numbers_over_are_looked_at_call_by_call(
    build, monkeypatch, name, fills_up
):
    inference = Inference(build(name), device("bfloat16"), 8)
    inference.prepare()
    calls = []
    monkeypatch.setattr(
        inference_module, "EvenRounding", lambda: calls.append(None) or nullcontext()
    )
    inference.run(images(8), 0, inference.stages)
    assert len(calls) == fills_up


def test_to_find_out_whether_places_matter_takes_two_chunks_and_is_done_once(build):
    inference = Inference(build("torchvision/resnet18"), device(), 4)
    seen = []
    inference._twin.backbone.module.conv1.register_forward_pre_hook(
        lambda module, inputs: seen.append(len(inputs[0]))
    )
    inference.prepare()
    assert seen == [4, 4]
    inference.prepare()
    inference.run(images(8), 0, inference.stages)
    assert seen == [4] * 4


@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_crosses_a_cut_depends_on_no_neighbour_either(mobile, precision):
    inference = Inference(mobile, device(precision), 4)
    rows = images(7)
    for cut in range(1, inference.stages):
        together = inference.run(rows, 0, cut)
        alone = torch.cat([inference.run(row[None], 0, cut) for row in rows])
        assert alone.equal(together)
        # And what is made of it, wherever it comes from.
        whole = inference.run(together, cut, inference.stages)
        copied = together.contiguous(memory_format=torch.contiguous_format)
        stored = empty_rows(together, 7).copy_(copied)
        assert inference.run(stored[2:5], cut, inference.stages).equal(whole[2:5])


def test_lower_precision_gives_numbers_near_those_of_full_precision(mobile):
    full = Inference(mobile, device(), 4)
    half = Inference(mobile, device("bfloat16"), 4)
    wanted = full.run(images(4), 0, full.stages)
    found = half.run(images(4), 0, half.stages).float()
    assert not found.equal(wanted)
    assert (found - wanted).norm() < 0.05 * wanted.norm()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_weights_are_those_of_the_network_when_they_were_taken(mobile, precision):
    inference = Inference(mobile, device(precision), 4)
    rows = images(4)
    before = inference.run(rows, 0, inference.stages)
    spoilt(mobile, seed=9)
    assert inference.run(rows, 0, inference.stages).equal(before)
    inference.update()
    after = inference.run(rows, 0, inference.stages)
    assert not after.equal(before)
    anew = Inference(mobile, device(precision), 4)
    assert anew.run(rows, 0, anew.stages).equal(after)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("what", ["convolutions", "norms", "everything"])
def test_every_kind_of_tensor_is_taken_anew(mobile, precision, what):
    inference = Inference(mobile, device(precision), 4)
    rows = images(4)
    before = inference.run(rows, 0, inference.stages)
    kinds = {"convolutions": (nn.Conv2d,), "norms": (nn.BatchNorm2d,), "everything": (nn.Module,)}
    with torch.no_grad():
        for module in mobile.module.modules():
            if isinstance(module, kinds[what]):
                for tensor in (*module.parameters(False), *module.buffers(False)):
                    if tensor.is_floating_point():
                        tensor.mul_(1.05)
    inference.update()
    after = inference.run(rows, 0, inference.stages)
    assert not after.equal(before)
    anew = Inference(mobile, device(precision), 4)
    assert anew.run(rows, 0, anew.stages).equal(after)


def test_only_stages_from_the_first_that_may_have_changed_are_taken_anew(mobile):
    inference = Inference(mobile, device(), 4)
    rows = images(2)
    crossing = inference.run(rows, 0, 2)
    whole = inference.run(rows, 0, inference.stages)
    spoilt(mobile, seed=9)
    inference.update(2)
    assert inference.run(rows, 0, 2).equal(crossing)
    assert not inference.run(rows, 0, inference.stages).equal(whole)
    inference.update(0)
    assert not inference.run(rows, 0, 2).equal(crossing)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_network_itself_is_left_as_it_is(mobile, precision):
    mobile.stages[-1].train()
    next(mobile.module.parameters()).requires_grad_(False)
    tensors = {**dict(mobile.module.named_parameters()), **dict(mobile.module.named_buffers())}
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    learning = {name: tensor.requires_grad for name, tensor in tensors.items()}
    modes = {name: module.training for name, module in mobile.module.named_modules()}
    inference = Inference(mobile, device(precision), 4)
    found = inference.run(images(3), 0, inference.stages)
    inference.update()
    inference.exact_cut(2)
    after = {**dict(mobile.module.named_parameters()), **dict(mobile.module.named_buffers())}
    assert after.keys() == before.keys()
    assert all(after[name] is tensors[name] for name in after)
    assert all(after[name].equal(value) for name, value in before.items())
    assert all(after[name].dtype == value.dtype for name, value in before.items())
    assert {name: tensor.requires_grad for name, tensor in after.items()} == learning
    assert {name: module.training for name, module in mobile.module.named_modules()} == modes
    assert not found.requires_grad


def test_a_network_that_trains_is_evaluated_all_the_same(mobile):
    rows = images(4)
    inference = Inference(mobile, device(), 4)
    wanted = inference.run(rows, 0, inference.stages)
    for stage in mobile.stages:
        stage.train()
    anew = Inference(mobile, device(), 4)
    assert anew.run(rows, 0, anew.stages).equal(wanted)


def test_no_stages_give_the_tensor_itself(mobile):
    inference = Inference(mobile, device(), 4)
    rows = images(2)
    assert inference.run(rows, 3, 3) is rows
    assert (inference.exact_cut(0), inference.exact_cut(inference.stages)) == (0, inference.stages)


class Secret(Hand):
    """A shortcut that is there in lower precision only, where the recording does not look."""

    def forward(self, x):
        first = self.norm(self.first(x)).relu()
        x = self.last(self.other(self.second(first)).relu())
        if torch.is_autocast_enabled("cpu"):
            x = x + first.mean()
        return self.fc(x.mean((2, 3)))


def test_a_cut_is_tried_in_the_precision_that_it_is_used_in():
    backbone = made_by_hand(Secret)
    cut = [stage.name for stage in backbone.stages].index("last")
    # As the model does when its stages are frozen.
    assert backbone.exact_cut(cut) == cut
    assert Inference(backbone, device(), 2).exact_cut(cut) == cut
    assert Inference(backbone, device("bfloat16"), 2).exact_cut(cut) < cut


class Blurred(Hand):
    """A fixed filter, a buffer, as networks have that blur before they take fewer pixels."""

    def __init__(self):
        super().__init__()
        self.register_buffer("filter", torch.full((6, 1, 2, 2), 0.25))

    def forward(self, x):
        x = self.norm(self.first(x)).relu()
        x = self.last(self.other(self.second(x)).relu())
        return self.fc(nn.functional.conv2d(x, self.filter, groups=6).mean((2, 3)))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_fixed_filter_is_computed_with_in_every_precision(precision):
    backbone = made_by_hand(Blurred)
    inference = Inference(backbone, device(precision), 2)
    found = inference.run(images(3, 16), 0, inference.stages)
    assert (found - plainly(backbone, images(3, 16))).abs().max() < 0.05


@pytest.mark.parametrize("count", [1, 7, 8, 9, 16])
def test_chunks_are_of_one_size_and_the_last_one_is_filled_up_with_its_last_row(count):
    seen = []

    def double(chunk):
        seen.append(chunk.clone())
        return chunk * 2

    rows = torch.arange(count * 3.0).reshape(count, 3)
    assert in_chunks(double, rows, 8).equal(rows * 2)
    assert {len(chunk) for chunk in seen} == {8}
    assert torch.cat(seen)[:count].equal(rows)
    assert (torch.cat(seen)[count:] == rows[-1]).all()
    assert len(seen) == -(-count // 8)


@pytest.mark.parametrize("size", [1, 2])
def test_chunks_lie_in_memory_as_new_tensors_do(size):
    seen = []

    def note(chunk):
        seen.append(chunk.data_ptr() % 64)
        return chunk.clone()

    rows = torch.arange(5 * 7.0).reshape(5, 7)
    assert in_chunks(note, rows, size).equal(rows)
    assert set(seen) == {0}


@pytest.mark.parametrize("count", [1, 3, 8, 11])
def test_rows_keep_the_memory_order_of_what_is_computed(count):
    rows = torch.randn(count, 4, 5, 6)
    last = rows.contiguous(memory_format=torch.channels_last)
    for given in (rows, last):
        found = in_chunks(torch.clone, given, 4)
        assert found.equal(given)
        assert found.stride()[1:] == empty_rows(given, count).stride()[1:]
    assert in_chunks(torch.clone, last, 4).is_contiguous(memory_format=torch.channels_last)
    assert in_chunks(torch.clone, rows, 4).is_contiguous()


@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize(
    "order", [(0, 1, 2, 3), (0, 2, 3, 1), (0, 3, 1, 2), (2, 0, 3, 1), (3, 2, 1, 0)]
)
def test_empty_rows_keep_the_order_of_a_rows_memory_and_have_no_gaps(order, count):
    shape = (3, 4, 5, 6)
    made = torch.empty([shape[dim] for dim in order], dtype=torch.bfloat16)
    like = made.permute([order.index(dim) for dim in range(4)])
    assert like.shape == shape
    room = empty_rows(like, count)
    assert room.shape == (count, 4, 5, 6)
    assert room.dtype == torch.bfloat16
    assert room.untyped_storage().nbytes() == count * 4 * 5 * 6 * 2
    inner = [dim for dim in order if dim != 0]
    # Rows lie one behind another, each in the order that it had.
    assert sorted(range(4), key=lambda dim: -room.stride(dim)) == [0, *inner] or count == 1
    assert sorted((1, 2, 3), key=lambda dim: -room.stride(dim)) == inner


def test_empty_rows_of_views_with_gaps_have_none():
    like = torch.empty(8, 6, 5)[::2, ::3]
    room = empty_rows(like, 3)
    assert room.shape == (3, 2, 5)
    assert room.is_contiguous()


def test_logits_of_a_head_depend_on_no_neighbour():
    head = nn.Linear(9, 3).eval()
    features = torch.randn(11, 9, generator=torch.Generator().manual_seed(0))
    together = head_logits(head, features)
    assert (together - head(features)).abs().max() < 1e-5
    assert not together.requires_grad
    for row in range(11):
        assert head_logits(head, features[row : row + 1])[0].equal(together[row])
    assert head_logits(head, features.flip(0)).flip(0).equal(together)
