"""What kind of group a tensor belongs to: weight, bias, or norm."""

from __future__ import annotations

from torch import nn

from tlf.plugin.outline import GroupKind

_NORMS = (
    nn.modules.batchnorm._NormBase,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
)


def norm_modules(network: nn.Module) -> set[str]:
    """Return the paths of a network's normalisations.

    torch's own and what is derived from them; and, since libraries write their own, modules with
    `norm` in the name of their class whose own parameters are all vectors.

    Args:
        network: The network.
    """
    return {name for name, module in network.named_modules() if _is_norm(module)}


def _is_norm(module: nn.Module) -> bool:
    if isinstance(module, _NORMS):
        return True
    own = list(module.parameters(recurse=False))
    named = "norm" in type(module).__name__.lower()
    return named and bool(own) and all(parameter.ndim <= 1 for parameter in own)


def kind_of_tensors(network: nn.Module) -> dict[str, GroupKind]:
    """Return the kind of every parameter and buffer, by its name.

    All tensors of a normalisation are `norm`, its running statistics too. A vector whose name ends
    in `bias` is `bias`. Everything else is `weight`.

    Args:
        network: The network.
    """
    norms = norm_modules(network)
    kinds: dict[str, GroupKind] = {}
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        if name.rpartition(".")[0] in norms:
            kinds[name] = "norm"
        else:
            kinds[name] = "bias" if name.endswith("bias") and tensor.ndim <= 1 else "weight"
    return kinds
