"""The sequential pass: one level after the other into one buffer of states, and its backward pass in reverse."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .plan import check_new
from .reduce import add_to_sources

if TYPE_CHECKING:
    from .plan import LevelPlan, Slice
    from .propagation import LevelPropagation, LevelRule


def run_levels(
    model: LevelPropagation, plan: LevelPlan, roots: Tensor, x: Tensor | None, attrs: list[Tensor | None]
) -> tuple[Tensor, list[Tensor | None]]:
    """States in level order and what edges emit, rule by rule; differentiable once."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    given = [part for part in (roots, x, *attrs) if part is not None]
    if not torch.is_grad_enabled() or not (parameters or any(part.requires_grad for part in given)):
        with torch.no_grad():
            return _forward(model, plan, roots, x, attrs, (False, [False] * len(attrs)))
    ordered, *emitted = _Sequence.apply(model, plan, len(attrs), roots, x, *attrs, *parameters)
    outputs = iter(emitted)
    return ordered, [next(outputs) if rule.emit else None for rule in model.rules.values()]


def _forward(
    model: LevelPropagation,
    plan: LevelPlan,
    roots: Tensor,
    x: Tensor | None,
    attrs: Sequence[Tensor | None],
    wanted: tuple[bool, list[bool]],
    *,
    dice: _Dice | None = None,
    kept: list[list[Firing]] | None = None,
) -> tuple[Tensor, list[Tensor | None]]:
    """All levels in order; `kept` collects their graphs, `dice` the random numbers to draw again without them."""
    states = roots.new_zeros((plan.num_nodes, roots.shape[1]))
    states[: roots.shape[0]] = roots
    emitted = [
        roots.new_zeros((plan.relation(name).num_edges, rule.emit)) if rule.emit else None
        for name, rule in model.rules.items()
    ]
    names = list(model.rules)
    for number in range(1, plan.num_levels):
        if dice is not None:
            dice.record()
        with torch.set_grad_enabled(kept is not None):
            levels = _pieces(model, plan, number, roots.device)
            for level in levels:
                level.fire(states, x, attrs[level.at], (wanted[0], wanted[1][level.at]))
        for level in levels:
            _store(level, names[level.at], states, emitted)
        if kept is not None:
            kept.append(levels)
    if dice is not None:
        dice.finish()
    return states, emitted


class Firing:
    """One relation's edges into one level, with the tensors that they read as leaves of a graph of their own."""

    def __init__(self, rule: LevelRule, piece: Slice, at: int) -> None:
        self.rule, self.piece, self.at = rule, piece, at

    def fire(self, states: Tensor, x: Tensor | None, attr: Tensor | None, wanted: tuple[bool, bool]) -> None:
        """Compute the new states; `wanted` says whether gradients for x and attr are."""
        piece = self.piece
        grad = torch.is_grad_enabled()
        self.state_src = states.index_select(0, piece.src).requires_grad_(grad)
        self.x_src = None if x is None else x.index_select(0, piece.src).requires_grad_(grad and wanted[0])
        self.x_rows = None
        if x is not None:
            self.x_rows = x.index_select(0, piece.rows + piece.start).requires_grad_(grad and wanted[0])
        self.attr = None if attr is None else attr[piece.first : piece.last].detach()
        if self.attr is not None and grad and wanted[1]:
            self.attr.requires_grad_()
        self.new, self.emitted = self.rule(piece, self.state_src, self.x_src, self.x_rows, self.attr)


class _Sequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, model: LevelPropagation, plan: LevelPlan, rules: int, roots: Tensor, x: Tensor | None, *rest: Any
    ) -> Any:
        attrs = rest[:rules]
        ctx.set_materialize_grads(False)
        ctx.model, ctx.plan, ctx.rules = model, plan, rules
        ctx.kept, ctx.dice = (None, _Dice(roots.device)) if model.checkpoint else ([], None)
        states, emitted = _forward(model, plan, roots, x, attrs, _wanted(ctx), dice=ctx.dice, kept=ctx.kept)
        ctx.save_for_backward(states, x, *attrs)
        return states, *[out for out in emitted if out is not None]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_states: Tensor | None, *grad_emitted: Tensor | None) -> Any:
        saved: list[Any] = [None if part is None else part.detach() for part in ctx.saved_tensors]
        states, x, attrs = saved[0], saved[1], saved[2:]
        model, plan = ctx.model, ctx.plan
        if ctx.kept is not None and len(ctx.kept) < plan.num_levels - 1:
            raise RuntimeError(
                "a second backward pass through LevelPropagation needs checkpoint=True: without it, what torch kept of "
                "each level is freed by the first"
            )
        parameters = [p for p in model.parameters() if p.requires_grad]
        wanted_x, wanted_attrs = _wanted(ctx)
        d_states = (
            torch.zeros_like(states)
            if grad_states is None
            else grad_states.clone(memory_format=torch.contiguous_format)
        )
        d_x = torch.zeros_like(x) if wanted_x else None
        d_attrs = [torch.zeros_like(a) if want else None for a, want in zip(attrs, wanted_attrs, strict=True)]
        d_parameters: list[Tensor | None] = [None] * len(parameters)
        by_rule = iter(grad_emitted)
        d_emitted = [next(by_rule) if rule.emit else None for rule in model.rules.values()]
        offsets = plan.levels.offsets
        for number in range(plan.num_levels - 1, 0, -1):
            first, last = int(offsets[number]), int(offsets[number + 1])
            levels = ctx.kept.pop() if ctx.kept is not None else None
            if levels is None:
                levels = _pieces(model, plan, number, states.device)
                with torch.enable_grad(), ctx.dice.replay(number - 1):
                    for level in levels:
                        level.fire(states, x, attrs[level.at], (wanted_x, wanted_attrs[level.at]))
            d_level = d_states[first:last]
            for level in levels:
                lead_back(level, d_level, d_emitted[level.at], parameters, d_states, d_x, d_attrs, d_parameters)
        width = int(offsets[1]) if plan.num_levels else 0
        return None, None, None, d_states[:width], d_x, *d_attrs, *d_parameters


def _wanted(ctx: Any) -> tuple[bool, list[bool]]:
    """Whether gradients for x and for each relation's edge features are asked for."""
    return bool(ctx.needs_input_grad[4]), [bool(need) for need in ctx.needs_input_grad[5 : 5 + ctx.rules]]


def _pieces(model: LevelPropagation, plan: LevelPlan, number: int, device: torch.device) -> list[Firing]:
    levels = []
    for at, (name, rule) in enumerate(model.rules.items()):
        piece = plan.relation(name).slice(number, device)
        if piece is not None:
            levels.append(Firing(rule, piece, at))
    return levels


def _store(level: Firing, name: str, states: Tensor, emitted: list[Tensor | None]) -> None:
    """Write a level's new states and what its edges emit."""
    piece = level.piece
    check_new(name, level.new, piece, states)
    with torch.no_grad():
        states.index_add_(0, piece.rows + piece.start, level.new.detach())
        out = emitted[level.at]
        if out is not None and level.emitted is not None:
            out[piece.first : piece.last] = level.emitted


def lead_back(
    level: Firing,
    d_level: Tensor,
    d_emitted: Tensor | None,
    parameters: list[Tensor],
    d_states: Tensor,
    d_x: Tensor | None,
    d_attrs: list[Tensor | None],
    d_parameters: list[Tensor | None],
) -> None:
    """Add a level's gradients to those of the states, features and parameters it was computed from."""
    piece = level.piece
    outputs, grads = [level.new], [d_level.index_select(0, piece.rows)]
    if d_emitted is not None and level.emitted is not None:
        outputs.append(level.emitted)
        grads.append(d_emitted[piece.first : piece.last])
    live = [(out, grad) for out, grad in zip(outputs, grads, strict=True) if out.requires_grad]
    if not live:
        return
    leaves = [t for t in (level.state_src, level.x_src, level.x_rows, level.attr) if t is not None and t.requires_grad]
    found = torch.autograd.grad(
        [out for out, _ in live], [*leaves, *parameters], [grad for _, grad in live], allow_unused=True
    )
    by_leaf = {id(leaf): grad for leaf, grad in zip(leaves, found, strict=False)}
    d_src = by_leaf.get(id(level.state_src))
    if d_src is not None:
        add_to_sources(d_states, d_src, piece)
    if d_x is not None:
        d_x_src, d_x_rows = by_leaf.get(id(level.x_src)), by_leaf.get(id(level.x_rows))
        if d_x_src is not None:
            add_to_sources(d_x, d_x_src, piece)
        if d_x_rows is not None:
            d_x.index_add_(0, piece.rows + piece.start, d_x_rows)
    d_attr, grad_attr = d_attrs[level.at], by_leaf.get(id(level.attr))
    if d_attr is not None and grad_attr is not None:
        d_attr[piece.first : piece.last] = grad_attr
    for i, grad in enumerate(found[len(leaves) :]):
        if grad is not None:
            before = d_parameters[i]
            d_parameters[i] = grad if before is None else before + grad


class _Dice:
    """The state of torch's random numbers before every level; equal states are kept once.

    Where none were drawn at all, levels are computed again without setting any.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device if device.type == "cuda" else None
        self._states: list[tuple[Tensor, ...]] = []
        self._drawn = True

    def _now(self) -> tuple[Tensor, ...]:
        here = torch.get_rng_state()
        return (here,) if self._device is None else (here, torch.cuda.get_rng_state(self._device))

    def record(self) -> None:
        now = self._now()
        same = self._states and all(torch.equal(a, b) for a, b in zip(now, self._states[-1], strict=True))
        self._states.append(self._states[-1] if same else now)

    def finish(self) -> None:
        """All levels are computed."""
        self.record()
        self._drawn = any(state is not self._states[0] for state in self._states)

    def replay(self, number: int) -> Any:
        if not self._drawn:
            return nullcontext()
        return _Replay(self._states[number], self._device)


class _Replay:
    """Random numbers as they were before a level, and afterwards as if nothing had been drawn."""

    def __init__(self, states: tuple[Tensor, ...], device: torch.device | None) -> None:
        self._states, self._device = states, device
        self._fork = torch.random.fork_rng([] if device is None else [device])

    def __enter__(self) -> None:
        self._fork.__enter__()
        torch.set_rng_state(self._states[0])
        if self._device is not None:
            torch.cuda.set_rng_state(self._states[1], self._device)

    def __exit__(self, *error: Any) -> None:
        self._fork.__exit__(*error)
