"""Modules recognised as small networks over rows, so that a pass through them can be compiled.

A module's own code is run once on stand-ins for its inputs, which write down what is done to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .perceptron import SLOPE, EdgePerceptron, NodePerceptron
from .steps import ADD, JOIN, MUL, Builder, Network, Unfit

_PERCEPTRONS = (EdgePerceptron, NodePerceptron)
_BESIDE = (1, -1)  # the dimension of columns


def lowered(module: nn.Module, given: Mapping[str, Tensor | None], needed: str, like: Tensor) -> Network | None:
    """The steps of a module that treats every row alike: see `LevelPropagation` for what is recognised.

    None for anything else. `given` is what it would be called with, in order; `needed` is the input that levels wait
    for; `like` is a tensor of the states' type. The module's code runs once at every call, with None where None is
    given: what it does may depend on attributes and the mode of training.
    """
    build = Builder({name: t.shape[1] for name, t in given.items() if t is not None}, like)
    before = torch.get_rng_state()
    buffers = [(buffer, buffer._version, buffer.clone()) for buffer in module.buffers()]
    try:
        if type(module) in _PERCEPTRONS:
            return build.finish(_perceptron(build, module), needed)
        result = module(*(None if t is None else Row(build, name) for name, t in given.items()))
        drawn = not torch.equal(torch.get_rng_state(), before)  # random numbers and statistics are a level's own
        counted = any(buffer._version != version for buffer, version, _ in buffers)
        return None if drawn or counted or not isinstance(result, Row) else build.finish(result.number, needed)
    except Exception:  # any code may stand there; what cannot be written down is run as it is
        return None
    finally:
        torch.set_rng_state(before)
        with torch.no_grad():
            for buffer, version, held in buffers:
                if buffer._version != version:
                    buffer.copy_(held)


def _perceptron(build: Builder, module: Any) -> int:
    """The same without running it."""
    layers = list(module.layers)
    if any(type(layer) is not nn.Linear for layer in layers) or module.reads.keys() - build.widths.keys():
        raise Unfit
    found = build.entry(list(module.reads), layers[0].weight, layers[0].bias)
    for layer, kind in zip([None, *layers[1:]], module.activations, strict=True):
        found = found if layer is None else build.linear(found, layer.weight, layer.bias)
        found = build.act(found, kind, {"leaky_relu": SLOPE, "elu": 1.0}.get(kind, 0.0))
    return found


class _Some:
    """A number of rows, about which nothing can be said."""

    def __eq__(self, other: object) -> bool:
        raise Unfit

    __hash__ = object.__hash__


class Row:
    """Stands for a tensor (rows, width) while a module's code runs: an input, inputs side by side, or a step's values.

    It answers the operators and functions of torch that steps can say, and raises `Unfit` for all others.
    """

    def __init__(self, build: Builder, value: str | int | tuple[Any, ...], *, shared: bool = False) -> None:
        self._build, self._value = build, value
        self._shared = shared or isinstance(value, str)  # memory that others read, too: not to be written over

    @property
    def parts(self) -> tuple[str | int, ...]:
        """Inputs by name and steps by number, side by side."""
        return self._value if isinstance(self._value, tuple) else (self._value,)

    @property
    def number(self) -> int:
        """The step that holds the values."""
        build = self._build
        first, *rest = (build.whole(part) if isinstance(part, str) else part for part in self.parts)
        for other in rest:
            first = build.pair(JOIN, first, other)
        self._value = self._value if isinstance(self._value, str) else first
        return first

    @property
    def width(self) -> int:
        build = self._build
        return sum(build.widths[part] if isinstance(part, str) else build.width(part) for part in self.parts)

    @property
    def shape(self) -> tuple[_Some, int]:
        return _Some(), self.width

    @property
    def dtype(self) -> torch.dtype:
        return self._build.like.dtype

    @property
    def device(self) -> torch.device:
        return self._build.like.device

    def dim(self) -> int:
        return 2

    def size(self, dim: int) -> int:
        if dim not in _BESIDE:
            raise Unfit
        return self.width

    def made(self, number: int, *, shared: bool = False) -> Row:
        return Row(self._build, number, shared=shared)

    def become(self, number: int) -> Row:
        """Take the values that torch would have written over its own."""
        if self._shared:
            raise Unfit
        self._value = number
        return self

    def __add__(self, other: Any) -> Row:
        return _arithmetic(self, other, lambda b, x, y: b.pair(ADD, x, y), lambda c: (1.0, c))

    def __sub__(self, other: Any) -> Row:
        return self + (-other)

    def __rsub__(self, other: Any) -> Row:
        return -self + other

    def __mul__(self, other: Any) -> Row:
        return _arithmetic(self, other, lambda b, x, y: b.pair(MUL, x, y), lambda c: (c, 0.0))

    def __truediv__(self, other: Any) -> Row:
        if isinstance(other, Row):
            raise Unfit
        return self * (1 / other)

    def __neg__(self) -> Row:
        return self * -1.0

    def __matmul__(self, weight: Tensor) -> Row:
        return _linear(self, weight.t())

    __radd__, __rmul__ = __add__, __mul__

    def __getitem__(self, key: Any) -> Row:
        rows, columns = key
        if rows not in (slice(None), Ellipsis) or not isinstance(columns, slice):
            raise Unfit
        first, last, step = columns.indices(self.width)
        if step != 1:
            raise Unfit
        return self._columns(first, last)

    def _columns(self, first: int, last: int) -> Row:
        found = self.made(self._build.columns(self.number, first, last), shared=True)
        self._shared = True
        return found

    def chunk(self, chunks: int, dim: int = 0) -> list[Row]:
        if dim not in _BESIDE or self.width % chunks:
            raise Unfit
        return self.split(self.width // chunks, dim)

    def split(self, size: int, dim: int = 0) -> list[Row]:
        if dim not in _BESIDE or not isinstance(size, int) or self.width % size:
            raise Unfit
        return [self._columns(first, first + size) for first in range(0, self.width, size)]

    def contiguous(self) -> Row:
        return self

    def clone(self) -> Row:
        return Row(self._build, self._value)

    def _refuse(self, *_: Any) -> Any:
        raise Unfit

    __iadd__ = __isub__ = __imul__ = __itruediv__ = __bool__ = __len__ = __iter__ = __setitem__ = _refuse
    __eq__ = __ne__ = _refuse
    __hash__ = object.__hash__

    def __getattr__(self, name: str) -> Any:
        """Methods of tensors."""
        if name not in _METHODS:
            raise Unfit
        return lambda *given, **named: _FUNCTIONS[name](self, *given, **named)

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, given: Any = (), named: Any = None) -> Any:
        name = getattr(function, "__name__", "")
        if name not in _FUNCTIONS:
            raise Unfit
        return _FUNCTIONS[name](*given, **(named or {}))


def _arithmetic(row: Row, other: Any, both: Callable[..., int], constant: Callable[..., tuple[Any, Any]]) -> Row:
    """With another row, or with one number for all or for each column."""
    build = row._build
    if isinstance(other, Row):
        return row.made(both(build, row.number, other.number))
    if isinstance(other, Tensor) and other.dim() == 0:
        other = other.expand(row.width)
    return row.made(build.scale(row.number, *constant(other)))


def _linear(input: Row, weight: Tensor, bias: Tensor | None = None) -> Row:
    names = [part for part in input.parts if isinstance(part, str)]
    if len(names) == len(input.parts) == len(set(names)):
        return input.made(input._build.entry(names, weight, bias))
    return input.made(input._build.linear(input.number, weight, bias))


def _joined(tensors: Any, dim: int = 0, *, axis: int | None = None) -> Row:
    if (dim if axis is None else axis) not in _BESIDE:
        raise Unfit
    return Row(tensors[0]._build, tuple(part for row in tensors for part in row.parts))


def _layer_norm(
    input: Row,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Row:
    if tuple(normalized_shape) != (input.width,):
        raise Unfit
    return input.made(input._build.norm(input.number, eps, weight, bias))


def _dropout(input: Row, p: float = 0.5, training: bool = True, inplace: bool = False) -> Row:
    if p and training:
        raise Unfit
    return input


def _act(input: Row, kind: str, arg: float = 0.0, inplace: bool = False) -> Row:
    number = input._build.act(input.number, kind, arg)
    return input.become(number) if inplace else input.made(number)


def _plain(kind: str) -> Callable[..., Row]:
    return lambda input, inplace=False: _act(input, kind, inplace=inplace)


def _softplus(input: Row, beta: float = 1, threshold: float = 20) -> Row:
    if (beta, threshold) != (1, 20):
        raise Unfit
    return _act(input, "softplus")


def _gru_cell(
    input: Row, before: Row, w_input: Tensor, w_before: Tensor, b_input: Tensor | None, b_before: Tensor | None
) -> Row:
    """The steps of a gated recurrent unit: of its input, and of the state that it forgets in part."""
    made = _linear(input, w_input, b_input).chunk(3, 1)
    own = _linear(before, w_before, b_before).chunk(3, 1)
    forget, keep = (_act(made[k] + own[k], "sigmoid") for k in (0, 1))
    new = _act(made[2] + forget * own[2], "tanh")
    return new + keep * (before - new)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "linear": _linear,
    "cat": _joined,
    "concat": _joined,
    "concatenate": _joined,
    "hstack": lambda tensors: _joined(tensors, 1),
    "chunk": lambda input, chunks, dim=0: input.chunk(chunks, dim),
    "clone": lambda input: input.clone(),
    "layer_norm": _layer_norm,
    "dropout": _dropout,
    "gru_cell": _gru_cell,
    **{name: _plain(name) for name in ("relu", "sigmoid", "tanh", "silu")},
    "leaky_relu": lambda input, negative_slope=0.01, inplace=False: _act(input, "leaky_relu", negative_slope, inplace),
    "elu": lambda input, alpha=1.0, inplace=False: _act(input, "elu", alpha, inplace),
    "gelu": lambda input, approximate="none": _act(input, "gelu" if approximate == "none" else "gelu_tanh"),
    "softplus": _softplus,
    **{name: lambda a, b: a + b if isinstance(a, Row) else b + a for name in ("add", "__radd__")},
    **{name: lambda a, b: a * b if isinstance(a, Row) else b * a for name in ("mul", "__rmul__")},
    "sub": lambda a, b: a - b if isinstance(a, Row) else -b + a,
    "__rsub__": lambda a, b: -a + b if isinstance(a, Row) else b - a,  # b - a, the other way round
    "neg": lambda input: -input,
    "div": lambda a, b: a / b,
    "matmul": lambda a, b: a @ b,
}
_METHODS = ("relu", "sigmoid", "tanh", "add", "mul", "sub", "neg", "div", "matmul")
