"""Modules recognised as perceptrons, so that a pass through them can be compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .perceptron import SLOPE, EdgePerceptron, NodePerceptron

if TYPE_CHECKING:
    from torch.fx import Graph, Node

_PERCEPTRONS = (EdgePerceptron, NodePerceptron)
_MODULES: dict[type, str] = {nn.ReLU: "relu", nn.Sigmoid: "sigmoid", nn.Tanh: "tanh", nn.Identity: "none"}
_FUNCTIONS: dict[Any, str] = {
    torch.relu: "relu",
    functional.relu: "relu",
    torch.sigmoid: "sigmoid",
    functional.sigmoid: "sigmoid",
    torch.tanh: "tanh",
    functional.tanh: "tanh",
}
_METHODS = ("relu", "sigmoid", "tanh")


@dataclass(frozen=True)
class Network:
    """Layers over inputs that are joined: what `EdgePerceptron` and `NodePerceptron` are made of."""

    reads: dict[str, int]
    layers: list[nn.Linear]
    activations: tuple[str, ...]
    needed: str


def lowered(module: nn.Module, given: Mapping[str, Tensor | None], needed: str) -> Network | None:
    """The layers of a module that joins some of its inputs and leads them through linear layers and activations.

    None for anything else. `given` is what it would be called with, in order; `needed` must be read. The module's code
    runs once, on `torch.fx` proxies and with None where None is given, at every call: what it does may depend on
    attributes and the mode of training.
    """
    if type(module) in _PERCEPTRONS:
        own: Any = module
        return Network(own.reads, list(own.layers), own.activations, needed)
    graph = _traced(module, given)
    if graph is None:
        return None
    names = [node for node in graph.nodes if node.op == "placeholder"]
    if len(names) != len(given):
        return None
    places = dict(zip(names, given, strict=True))
    output = next(node for node in graph.nodes if node.op == "output")
    found = _network(output.args[0], module, places, given, needed)
    return found if found is not None and found.layers and needed in found.reads else None


def _traced(module: nn.Module, given: Mapping[str, Tensor | None]) -> Graph | None:
    import inspect

    from torch import fx

    class Tracer(fx.Tracer):
        def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
            return isinstance(m, _PERCEPTRONS) or super().is_leaf_module(m, module_qualified_name)

    try:
        names = list(inspect.signature(module.forward).parameters)
        absent = {name: None for name, value in zip(names, given.values(), strict=True) if value is None}
        return Tracer().trace(module, concrete_args=absent)
    except Exception:  # any code may stand there; what cannot be traced is run as it is
        return None


def _network(
    value: Any, module: nn.Module, places: Mapping[Node, str], given: Mapping[str, Tensor | None], needed: str
) -> Network | None:
    """What leads to a value: inputs alone have no layers yet."""
    from torch import fx

    if not isinstance(value, fx.Node):
        return None
    if value.op == "placeholder":
        tensor = given[places[value]]
        return (
            None if tensor is None or tensor.dim() != 2 else Network({places[value]: tensor.shape[1]}, [], (), needed)
        )
    if value.op == "call_function" and value.target in (torch.cat, torch.concat):
        return _joined(value, places, given, needed)
    called: Any = module.get_submodule(str(value.target)) if value.op == "call_module" else None
    if type(called) in _PERCEPTRONS:
        if value.kwargs or [places.get(part) if isinstance(part, fx.Node) else None for part in value.args] != [
            name if given[name] is not None else None for name in given
        ]:
            return None
        return Network(called.reads, list(called.layers), called.activations, needed)
    if not value.args or (value.kwargs and value.op == "call_module"):
        return None
    before = _network(value.args[0], module, places, given, needed)
    if before is None:
        return None
    if isinstance(called, nn.Linear):
        if type(called) is not nn.Linear or called.bias is None:
            return None
        return Network(before.reads, [*before.layers, called], (*before.activations, "none"), needed)
    kind = _activation(value, called)
    if kind == "none":
        return before
    if kind is None or not before.layers or before.activations[-1] != "none":
        return None
    return Network(before.reads, before.layers, (*before.activations[:-1], kind), needed)


def _joined(value: Node, places: Mapping[Node, str], given: Mapping[str, Tensor | None], needed: str) -> Network | None:
    """Inputs side by side, each once."""
    along = value.args[1] if len(value.args) > 1 else value.kwargs.get("dim", 0)
    parts: Any = value.args[0] if value.args else None
    if along not in (1, -1) or not isinstance(parts, list | tuple):
        return None
    names = [places.get(part) for part in parts]
    tensors = [None if name is None else given[name] for name in names]
    if len(set(names)) != len(names) or any(t is None or t.dim() != 2 for t in tensors):
        return None
    reads = {name: t.shape[1] for name, t in zip(names, tensors, strict=True) if name and t is not None}
    return Network(reads, [], (), needed)


def _activation(value: Node, called: Any) -> str | None:
    """Its name where it is one of `perceptron.ACTIVATIONS`; "none" for what changes nothing."""
    if value.op == "call_module":
        if isinstance(called, nn.Dropout):
            return "none" if called.p == 0 or not called.training else None
        if type(called) is nn.LeakyReLU:
            return "leaky_relu" if called.negative_slope == SLOPE else None
        if type(called) is nn.ELU:
            return "elu" if called.alpha == 1 else None
        return _MODULES.get(type(called))
    rest = (*value.args[1:], *(v for k, v in value.kwargs.items() if k != "inplace"))
    if value.op == "call_function" and value.target is functional.leaky_relu:
        return "leaky_relu" if rest == (SLOPE,) else None
    if value.op == "call_function" and value.target is functional.elu:
        return "elu" if rest in ((), (1.0,)) else None
    if rest:
        return None
    if value.op == "call_function":
        return _FUNCTIONS.get(value.target)
    return str(value.target) if value.op == "call_method" and value.target in _METHODS else None
