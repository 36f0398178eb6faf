"""One pass of images through MobileNetV2, for their features, and nothing else: how fast can it be?

`python -m tests.benchmarks.single_pass FOLDER WEIGHTS PRECISION NETWORK WAY CHUNK` prints the seconds.

PIL decodes, and resizes the part that the network sees, with the filter and to the size that tlf's
transform `standard` evaluates on. Batch normalisation is folded into the convolutions, weights and
activations are channels_last and of the wanted precision throughout: no autocast.
"""

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.mobilenetv2 import InvertedResidual

THREADS = 2
SIZE, RESIZE = 224, 256
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1) * 255
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1) * 255

Forward = Callable[[torch.Tensor], torch.Tensor]


def decode(path: Path) -> np.ndarray:
    """Return what the network sees of an image, uint8 `(SIZE, SIZE, 3)`."""
    with Image.open(path) as image:
        rgb = image.convert("RGB")
    side = min(rgb.size) * SIZE / RESIZE
    left, top = ((edge - side) / 2 for edge in rgb.size)
    box = (left, top, left + side, top + side)
    return np.asarray(rgb.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box))


def normalised(images: list[np.ndarray], dtype: torch.dtype) -> torch.Tensor:
    """Return the network's input; its memory is channels_last as it is."""
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return ((batch - MEAN) / STD).to(dtype)


def folded(weights: Path, dtype: torch.dtype) -> nn.Module:
    """Return the layers below the classifier, without batch normalisation."""
    with torch.device("meta"):
        model = torchvision.models.mobilenet_v2()
    model.load_state_dict(load_file(weights), assign=True)
    model.eval()
    for module in model.features.modules():
        children = list(module.named_children())
        for (name, one), (after, other) in pairwise(children):
            if isinstance(one, nn.Conv2d) and isinstance(other, nn.BatchNorm2d):
                setattr(module, name, fuse_conv_bn_eval(one, other))
                setattr(module, after, nn.Identity())
    return model.features.to(dtype).to(memory_format=torch.channels_last)


def modules(features: nn.Module, example: torch.Tensor) -> Forward:
    """Return the network as torch's modules run it."""
    return lambda images: features(images).mean((2, 3))


def fused(features: nn.Module, example: torch.Tensor) -> Forward:
    """Return the network with activations and additions inside of oneDNN's convolutions."""
    ops = torch.ops.mkldnn
    shapes: dict[nn.Module, list[int]] = {}
    convolutions = [module for module in features.modules() if isinstance(module, nn.Conv2d)]
    hooks = [
        module.register_forward_hook(
            lambda module, given, made: shapes.update({module: list(given[0].shape)})
        )
        for module in convolutions
    ]
    features(example)
    for hook in hooks:
        hook.remove()

    def prepared(layer: nn.Conv2d) -> tuple:
        geometry = (layer.padding, layer.stride, layer.dilation, layer.groups)
        packed = ops._reorder_convolution_weight(layer.weight, *geometry, shapes[layer])
        return packed, layer.bias, *geometry

    def block(module: nn.Module) -> Forward:
        layers = [prepared(m) for m in module.modules() if isinstance(m, nn.Conv2d)]
        linear = layers.pop() if isinstance(module, InvertedResidual) else None
        adds = linear is not None and module.use_res_connect

        def forward(images: torch.Tensor) -> torch.Tensor:
            inner = images
            for layer in layers:
                inner = ops._convolution_pointwise(inner, *layer, "hardtanh", [0.0, 6.0], "")
            if adds:
                add = ops._convolution_pointwise.binary
                return add(inner, images, *linear, "add", None, None, [], None)
            if linear is not None:
                inner = ops._convolution_pointwise(inner, *linear, "none", [], "")
            return inner

        return forward

    blocks = [block(module) for module in features]

    def network(images: torch.Tensor) -> torch.Tensor:
        for forward in blocks:
            images = forward(images)
        return images.mean((2, 3))

    return network


def overlapping(chunks: list[list[Path]], network: Forward, dtype: torch.dtype) -> list:
    """Decode in threads while the network works on the chunks before."""
    with ThreadPoolExecutor(THREADS) as pool:
        images = pool.map(decode, [path for chunk in chunks for path in chunk])
        return [network(normalised([next(images) for _ in chunk], dtype)) for chunk in chunks]


def in_turn(chunks: list[list[Path]], network: Forward, dtype: torch.dtype) -> list:
    """Decode everything, and only then run the network: threads never wait for each other."""
    with ThreadPoolExecutor(THREADS) as pool:
        images = list(pool.map(decode, [path for chunk in chunks for path in chunk]))
    found = []
    for chunk in chunks:
        found.append(network(normalised(images[: len(chunk)], dtype)))
        images = images[len(chunk) :]
    return found


def side_by_side(chunks: list[list[Path]], network: Forward, dtype: torch.dtype) -> list:
    """Let each thread decode chunks of its own, and run the network on them by itself."""
    torch.set_num_threads(1)

    @torch.inference_mode()
    def work(chunk: list[Path]) -> torch.Tensor:
        torch.set_num_threads(1)
        return network(normalised([decode(path) for path in chunk], dtype))

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, chunks))


NETWORKS = {"modules": modules, "fused": fused}
WAYS = {"overlapping": overlapping, "in-turn": in_turn, "side-by-side": side_by_side}


@torch.inference_mode()
def main(folder: str, weights: str, precision: str, network: str, way: str, chunk: str) -> None:
    """Print the seconds, of everything and of the pass alone, and a sum that tells of the features."""
    torch.set_num_threads(THREADS)
    dtype, size = getattr(torch, precision), int(chunk)
    started = time.perf_counter()
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    chunks = [paths[start : start + size] for start in range(0, len(paths), size)]
    example = torch.zeros(size, SIZE, SIZE, 3, dtype=dtype).permute(0, 3, 1, 2)
    forward = NETWORKS[network](folded(Path(weights), dtype), example)
    built = time.perf_counter()
    features = torch.cat(WAYS[way](chunks, forward, dtype)).float()
    ended = time.perf_counter()
    found = {
        "seconds": ended - started,
        "pass_seconds": ended - built,
        "images": len(features),
        "mean_feature": float(features.mean()),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
