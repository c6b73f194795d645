"""Small networks as lists of steps that kernels can run: what `lowering` makes of modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

ENTRY, LINEAR, ACT, NORM, SCALE, ADD, MUL, SLICE, JOIN = range(9)  # those of `steps_cpu`, which is heavy to import
KINDS = ("none", "relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus", "silu", "gelu", "gelu_tanh")
_PAIRS = (ADD, MUL, JOIN)
_BY_RESULT = KINDS[:6]  # their derivatives are told from what they give, so that it may stand in their argument's place


class Unfit(Exception):
    """What is asked for is not among the steps."""


@dataclass(frozen=True)
class Step:
    """One row of values per edge or node; see `steps_cpu.Layers`."""

    op: int
    width: int
    source: int = 0
    other: int = 0
    kind: int = 0
    arg: float = 0.0
    weight: Tensor | None = None
    bias: Tensor | None = None

    @property
    def matrix(self) -> Tensor:
        """The weight of a linear layer."""
        if self.weight is None:
            raise Unfit
        return self.weight

    @property
    def sources(self) -> tuple[int, ...]:
        """The steps it reads."""
        return () if self.op == ENTRY else (self.source, self.other)[: 1 + (self.op in _PAIRS)]

    @property
    def tensors(self) -> list[Tensor]:
        return [part for part in (self.weight, self.bias) if part is not None]


@dataclass(frozen=True)
class Network:
    """Steps, the first a linear layer over inputs that are joined: their names and widths, in the weight's order."""

    reads: dict[str, int]
    steps: list[Step]
    needed: str

    @property
    def width(self) -> int:
        return self.steps[-1].width

    @property
    def tensors(self) -> list[Tensor]:
        return [tensor for step in self.steps for tensor in step.tensors]


class Builder:
    """Steps as they are found, each named by a number. `widths` are those of the inputs."""

    def __init__(self, widths: Mapping[str, int], like: Tensor) -> None:
        self.widths, self.like = dict(widths), like
        self._steps: list[Step] = []
        self._entries: dict[int, list[str]] = {}
        self._whole: dict[str, int] = {}
        self._gone: set[int] = set()

    def width(self, step: int) -> int:
        return self._steps[step].width

    def _add(self, step: Step) -> int:
        self._steps.append(step)
        return len(self._steps) - 1

    def entry(self, names: Sequence[str], weight: Tensor, bias: Tensor | None) -> int:
        """A linear layer over inputs side by side."""
        if len(set(names)) != len(names) or weight.shape[1] != sum(self.widths[name] for name in names):
            raise Unfit
        self._entries[len(self._steps)] = list(names)
        return self._add(Step(ENTRY, weight.shape[0], weight=weight, bias=bias))

    def whole(self, name: str) -> int:
        """An input itself."""
        if name not in self._whole:
            wide = self.widths[name]
            self._whole[name] = self.entry([name], torch.eye(wide, dtype=self.like.dtype), None)
        return self._whole[name]

    def linear(self, source: int, weight: Tensor, bias: Tensor | None) -> int:
        if weight.dim() != 2 or weight.shape[1] != self.width(source):
            raise Unfit
        return self._add(Step(LINEAR, weight.shape[0], source, weight=weight, bias=bias))

    def act(self, source: int, kind: str, arg: float = 0.0) -> int:
        if not arg >= 0:  # then what comes out, from which derivatives are told, does not have the sign of what went in
            raise Unfit
        return source if kind == "none" else self._add(Step(ACT, self.width(source), source, 0, KINDS.index(kind), arg))

    def norm(self, source: int, epsilon: float, weight: Tensor | None, bias: Tensor | None) -> int:
        found = self._add(Step(NORM, self.width(source), source, arg=epsilon))
        return found if weight is None and bias is None else self.scale(found, weight, bias)

    def scale(self, source: int, weight: Tensor | float | None, bias: Tensor | float | None) -> int:
        """Columns times factors plus shifts, by column or all alike."""
        wide, parts = self.width(source), []
        for part, fill in ((weight, 1.0), (bias, 0.0)):
            part = fill if part is None else part
            full = part if isinstance(part, Tensor) else self.like.new_full((wide,), float(part))
            if full.shape != (wide,):
                raise Unfit
            parts.append(full)
        return self._add(Step(SCALE, wide, source, weight=parts[0], bias=parts[1]))

    def pair(self, op: int, a: int, b: int) -> int:
        """Sum or product of two rows, or the two side by side."""
        if op != JOIN and self.width(a) != self.width(b):
            raise Unfit
        return self._add(Step(op, self.width(a) + (self.width(b) if op == JOIN else 0), a, b))

    def columns(self, source: int, first: int, last: int) -> int:
        if not 0 <= first < last <= self.width(source):
            raise Unfit
        return self._add(Step(SLICE, last - first, source, first))

    def finish(self, result: int, needed: str) -> Network:
        """The steps in an order that kernels can run, with the linear layers over inputs made one."""
        if not self._entries:
            raise Unfit
        result = self._in_place(result)
        rest = [k for k in range(result + 1) if k not in self._entries and k not in self._gone]
        if len(self._entries) == 1 and needed in next(iter(self._entries.values())):
            ((place, names),) = self._entries.items()
            first, order = [self._steps[place]], [place, *rest]
        else:
            first, names = self._stacked(needed)
            order = [-1, *self._entries, *rest]
        number = {k: at for at, k in enumerate(order)}
        moved = [
            replace(
                self._steps[k],
                source=number[self._steps[k].source],
                other=number[self._steps[k].other] if self._steps[k].op in _PAIRS else self._steps[k].other,
            )
            for k in rest
        ]
        steps = [*first, *moved]
        if number[result] != len(steps) - 1:  # an entry beside others that are for nothing
            raise Unfit
        return Network({name: self.widths[name] for name in names}, steps, needed)

    def _in_place(self, result: int) -> int:
        """Let activations stand in the place of values that nothing else reads; the result's number after it."""
        readers = [0] * len(self._steps)
        for step in self._steps:
            for source in step.sources:
                readers[source] += 1
        readers[result] += 1
        moved: dict[int, int] = {}
        for k, step in enumerate(self._steps):
            if step.op == ENTRY:
                continue
            step = replace(step, source=moved.get(step.source, step.source))
            if step.op in _PAIRS:
                step = replace(step, other=moved.get(step.other, step.other))
            self._steps[k] = step
            before = self._steps[step.source]
            fits = step.op == ACT and KINDS[step.kind] in _BY_RESULT and before.op not in (ACT, NORM)
            if fits and not before.kind and readers[step.source] == 1:
                self._steps[step.source] = replace(before, kind=step.kind, arg=step.arg)
                moved[k] = step.source
                readers[step.source] = readers[k]
                self._gone.add(k)
        return moved.get(result, result)

    def _stacked(self, needed: str) -> tuple[list[Step], list[str]]:
        """One entry for all, and its slices in the place of each."""
        read = {name for names in self._entries.values() for name in names} | {needed}
        names = [name for name in self.widths if name in read]
        rows, biases, slices, first = [], [], [], 0
        for place, own in self._entries.items():
            step = self._steps[place]
            matrix = step.matrix
            parts = dict(zip(own, matrix.split([self.widths[name] for name in own], 1), strict=True))
            zeros = {name: matrix.new_zeros((step.width, self.widths[name])) for name in names if name not in own}
            rows.append(torch.cat([parts.get(name, zeros.get(name)) for name in names], 1))  # type: ignore[misc]
            biases.append(matrix.new_zeros(step.width) if step.bias is None else step.bias)
            slices.append(replace(step, op=SLICE, source=0, other=first, weight=None, bias=None))
            first += step.width
        entry = Step(ENTRY, first, weight=torch.cat(rows), bias=torch.cat(biases))
        return [entry, *slices], names
