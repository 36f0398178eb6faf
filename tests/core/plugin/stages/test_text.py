"""A split survives being written down."""

from dataclasses import replace

import pytest
import torch
import torchvision
from torch.utils._pytree import tree_flatten

from tlf.plugin.stages.meta import create_on_meta
from tlf.plugin.stages.split import Stub, split_network
from tlf.plugin.stages.text import split_from_text, split_to_text


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "swin_t", "googlenet"])
def test_a_split_is_read_as_it_was_written(name):
    arguments = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    split = split_network(
        create_on_meta(lambda: torchvision.models.get_model(name, **arguments)), 64
    )
    assert split_from_text(split_to_text(split)) == split


def test_what_json_cannot_say_is_refused():
    network = create_on_meta(
        lambda: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2))
    )
    split = split_network(network, 2)
    odd = Stub("0", (object(),), tree_flatten([1])[1])
    with pytest.raises(TypeError, match="a module returns a object"):
        split_to_text(replace(split, stubs=((odd,),)))
