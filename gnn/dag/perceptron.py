"""Perceptrons for level propagation, whose passes over all levels are compiled into one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...graphlib.errors import InvalidInput
from ...graphlib.scalars import is_integer

ACTIVATIONS = ("none", "relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus", "silu", "gelu")
SLOPE = 0.2  # of leaky_relu, below zero
_APPLY: dict[str, Any] = {
    "none": lambda x: x,
    "relu": torch.relu,
    "leaky_relu": lambda x: functional.leaky_relu(x, SLOPE),
    "elu": functional.elu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": functional.softplus,
    "silu": functional.silu,
    "gelu": functional.gelu,
}


class _Perceptron(nn.Module):
    parts: tuple[str, ...] = ()  # what it may read, in the order of forward's arguments
    needed = ""

    def __init__(
        self, reads: Mapping[str, int], widths: Sequence[int], *, activation: str = "relu", last: str = "none"
    ) -> None:
        super().__init__()
        name = type(self).__name__
        unknown = [part for part in reads if part not in self.parts]
        if unknown or self.needed not in reads:
            raise InvalidInput(
                f"{name}: reads maps some of {', '.join(self.parts)}, {self.needed} among them, to widths; "
                f"got {dict(reads)!r}"
            )
        wrong = [w for w in (*reads.values(), *widths) if not is_integer(w) or w < 1]
        if wrong or not widths:
            raise InvalidInput(f"{name}: widths are integers >= 1, at least one; got {dict(reads)!r}, {list(widths)!r}")
        for what, given in (("activation", activation), ("last", last)):
            if given not in ACTIVATIONS:
                raise InvalidInput(f"{name}: {what} must be one of {', '.join(ACTIVATIONS)}; got {given!r}")
        self.reads = dict(reads)
        self.activations = (*[activation] * (len(widths) - 1), last)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise([sum(reads.values()), *widths]))

    def _run(self, given: Mapping[str, Tensor | None]) -> Tensor:
        parts = []
        for part, width in self.reads.items():
            values = given[part]
            if values is None or values.shape[-1] != width:
                shape = "none" if values is None else tuple(values.shape)
                raise InvalidInput(f"{type(self).__name__}: {part} must be {width} wide; got {shape}")
            parts.append(values)
        h = torch.cat(parts, 1) if len(parts) > 1 else parts[0]
        for layer, activation in zip(self.layers, self.activations, strict=True):
            h = _APPLY[activation](layer(h))
        return h

    def extra_repr(self) -> str:
        return f"reads={self.reads}, activations={self.activations}"


class EdgePerceptron(_Perceptron):
    """Layers over what an edge can read: the usual message of a `LevelRule`.

    Parameters
    ----------
    reads : mapping of some of "state_src", "x_src", "x_dst", "attr" to their widths
        In the order in which they are joined; state_src must be among them.
    widths : sequence of int
        Of the layers; the last is the messages'.
    activation : {"relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus", "silu", "gelu", "none"}, default "relu"
        Between layers; leaky_relu has slope 0.2.
    last : the same, default "none"
        Behind the last layer.

    Notes
    -----
    An ordinary module, and with `NodePerceptron` one that `LevelPropagation` compiles: on the processor, a pass over a
    plan of one relation costs one call for all narrow levels, instead of a few calls of torch a level.

    Examples
    --------
    >>> from nearhop.gnn.dag import EdgePerceptron, LevelPropagation, LevelRule, NodePerceptron
    >>> message = EdgePerceptron({"state_src": 16, "x_dst": 8}, [16, 33])
    >>> update = NodePerceptron({"reduced": 32, "x_dst": 8}, [16], last="tanh")
    >>> model = LevelPropagation({"edge": LevelRule(message, reduce="gated", update=update)})
    """

    parts, needed = ("state_src", "x_src", "x_dst", "attr"), "state_src"

    def forward(self, state_src: Tensor, x_src: Tensor | None, x_dst: Tensor | None, attr: Tensor | None) -> Tensor:
        """Messages (edges, widths[-1])."""
        return self._run({"state_src": state_src, "x_src": x_src, "x_dst": x_dst, "attr": attr})


class NodePerceptron(_Perceptron):
    """Layers over what a node has: the usual update of a `LevelRule`.

    Parameters
    ----------
    reads : mapping of "reduced" and, if it is read, "x_dst" to their widths
    widths, activation, last
        As in `EdgePerceptron`; the last width is the state's.

    Examples
    --------
    >>> import torch
    >>> from nearhop.gnn.dag import NodePerceptron
    >>> NodePerceptron({"reduced": 4}, [8, 2], last="tanh")(torch.zeros(3, 4), None).shape
    torch.Size([3, 2])
    """

    parts, needed = ("reduced", "x_dst"), "reduced"

    def forward(self, reduced: Tensor, x_dst: Tensor | None) -> Tensor:
        """New states (nodes, widths[-1])."""
        return self._run({"reduced": reduced, "x_dst": x_dst})
