"""A layer of equivariant maps as one torch function: what maps read, channels mixed, results averaged over copies.

On the processor it runs compiled kernels with gradients of its own, without second derivatives; elsewhere, the same in
torch (`plain`).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..threads import kernel_threads
from . import plain as in_torch
from .kernels import array, run, whole
from .ops import normalised, normalised_back

if TYPE_CHECKING:
    from .plan import BagPlan


class Source(NamedTuple):
    """Features of one order, and the parameters of the map that reads them (see `EquivariantMap`)."""

    x: Tensor
    order: int
    place: Tensor | None
    ego: Tensor
    bias: Tensor
    entry: Tensor | None


class Norm(NamedTuple):
    """GraphNorm of ELU behind a layer, with the weights of each order that goes out, pairs first."""

    eps: float
    weights: tuple[Tensor, ...]


def layer(
    sources: Sequence[Source], orders: Sequence[int], plan: BagPlan, norm: Norm | None = None
) -> tuple[Tensor | None, Tensor | None]:
    """Features of pairs and of nodes, averaged over copies, from maps of one or two sources, side by side.

    None of what is not among `orders`. A source of pairs comes first. Products of pairs are made some dozen rows at a
    time and their gradients some thousand: nothing as large as the pairs is kept but x, and of a `norm` what it reads.
    """
    if plan.indptr.device.type != "cpu":
        return in_torch.layer(sources, orders, plan, norm)
    flat = [part for source in sources for part in (source.x.contiguous(), *source[2:])]
    if norm is not None:
        flat += norm.weights
    eps = None if norm is None else norm.eps
    found: Any = _Layer.apply(plan, tuple(orders), tuple(source.order for source in sources), eps, *flat)
    return found


def invariants(sources: Sequence[Source], plan: BagPlan) -> Tensor:
    """Features of ego networks from means over their places, mixed by class, side by side: (num_egos, C_out)."""
    if plan.indptr.device.type != "cpu":
        return in_torch.invariants(sources, plan)
    flat = [part for source in sources for part in (source.x.contiguous(), source.ego, source.bias)]
    result: Tensor = _Invariants.apply(plan, tuple(source.order for source in sources), *flat)
    return result


class _Read(NamedTuple):
    """What maps read of features, and its gradient likewise.

    `places` (num_places, 2 C) are row and column means, empty of node features; `groups` (num_groups, 3 C), a node's
    diagonal and means over its places of these, or (num_groups, C), node features; `egos` (num_egos, 2 C) or C, means
    over an ego network's places of the diagonal and of the row means, or of node features.
    """

    places: Any
    groups: Any
    egos: Any


def _read(x: Any, order: int, plan: BagPlan) -> _Read:
    host, width, empty = plan.host, x.shape[1], np.empty
    size, egos = plan.host_factor("size", x.dtype), empty((plan.num_egos, order * width), x.dtype)
    if order == 1:
        groups = empty((plan.num_groups, width), x.dtype)
        work = plan.num_places * width
        run("read_nodes", work, x, host.nodes, host.indptr, size, host.node_of_group, groups, egos)
        return _Read(empty((0, 0), x.dtype), groups, egos)
    places, groups = empty((plan.num_places, 2 * width), x.dtype), empty((plan.num_groups, 3 * width), x.dtype)
    factors = plan.host_factor("one", x.dtype), size, plan.host_factor("group", x.dtype)
    work = plan.num_entries * width
    run("read_pairs", work, x, host.of_entry, host.diagonal, host.of_group, factors, places, groups, egos)
    return _Read(places, groups, egos)


def _read_back(read: _Read, plan: BagPlan) -> Any:
    """The gradient of features from that of what is read of them."""
    host, dtype, order = plan.host, read.egos.dtype, 2 if read.places.shape[0] else 1
    width = read.egos.shape[1] // order
    nodes = np.empty((plan.num_nodes, width), dtype)
    one, size, share = (plan.host_factor(name, dtype) for name in ("one", "size", "group"))
    if order == 1:
        run("read_nodes_back", plan.num_places * width, read.groups, read.egos, host.of_place, share, size, nodes)
        return nodes
    terms, out, given = np.empty_like(read.places), np.empty((plan.num_pairs, width), dtype), (*read,)
    lists = host.of_place, (one, size, share), host.of_entry, host.of_pair
    run("read_pairs_back", plan.num_entries * width, given, *lists, nodes, terms, out)
    return out


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        plan: BagPlan,
        orders: tuple[int, ...],
        kinds: tuple[int, ...],
        eps: float | None,
        *flat: Tensor | None,
    ) -> Any:
        arrays = [None if part is None else array(part) for part in flat]
        parameters = 5 * len(kinds)
        sources = [arrays[i : i + 5] for i in range(0, parameters, 5)]
        read = [_read(source[0], kind, plan) for source, kind in zip(sources, kinds, strict=True)]
        kept = [part for one in read for part in one]
        terms, diagonal, nodes = _mixed(sources, read, orders, plan)
        made: dict[int, Any] = {}
        if 2 in orders:
            made[2] = pairs = np.empty((plan.num_pairs, diagonal.shape[1]), diagonal.dtype)
            size, scale = (plan.host_factor(name, pairs.dtype) for name in ("size", "count"))
            run("spread", plan.num_entries * pairs.shape[1], terms, diagonal, plan.host.of_pair, size, scale, pairs)
            if sources[0][4] is not None:
                _mix(sources[0][0], sources[0][4], plan, pairs)
        if 1 in orders:
            made[1] = nodes
        if eps is not None:
            for i, (order, x) in enumerate(made.items()):
                weight = arrays[parameters + i]
                made[order], *rest = normalised(x, plan.host.of_graph[order], weight, eps, True)
                kept += rest
        ctx.plan, ctx.orders, ctx.kinds, ctx.eps = plan, (*made,), kinds, eps
        ctx.save_for_backward(*flat, *map(torch.from_numpy, kept))
        ctx.set_materialize_grads(False)
        return tuple(torch.from_numpy(made[order]) if order in made else None for order in (2, 1))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        plan, orders, count, host = ctx.plan, ctx.orders, len(ctx.kinds), ctx.plan.host
        two, one, parameters = 2 in orders, 1 in orders, 5 * count
        saved: list[Any] = [None if part is None else array(part) for part in ctx.saved_tensors]
        flat = parameters + (len(orders) if ctx.eps is not None else 0)
        sources = [saved[i : i + 5] for i in range(0, parameters, 5)]
        read = [_Read(*saved[i : i + 3]) for i in range(flat, flat + 3 * count, 3)]
        total, dtype = sum(_width(source, two, one) for source in sources), saved[0].dtype
        upper, d_norms = {2: np.empty((0, total), dtype), 1: np.empty((0, total), dtype)}, []
        for i, order in enumerate(orders):
            grad, rows = grads[2 - order], plan.num_pairs if order == 2 else plan.num_nodes
            upper[order] = np.zeros((rows, total), dtype) if grad is None else array(grad.contiguous())
            if ctx.eps is not None:
                rest = flat + 3 * count + 2 * i
                given = host.of_graph[order], saved[parameters + i], saved[rest : rest + 2]
                upper[order], d_weight = normalised_back(upper[order], *given, True)
                d_norms.append(d_weight)
        terms = np.empty((plan.num_places if two else 0, 2 * total), dtype)
        diagonal = np.empty((plan.num_nodes if two else 0, total), dtype)
        if two:
            factors = plan.host_factor("count", dtype), plan.host_factor("size", dtype)
            work = plan.num_entries * total
            run("spread_back", work, upper[2], host.of_entry, host.diagonal, factors, terms, diagonal)
        found, at = [], 0
        for i, (source, one_read) in enumerate(zip(sources, read, strict=True)):
            wanted = ctx.needs_input_grad[4 + 5 * i]
            d_read, d_parameters = _mixed_back(source, one_read, (terms, diagonal, upper[1]), at, wanted, plan)
            d_x = _read_back(d_read, plan) if wanted else source[0][:0]
            d_entry = _mix_back(source[0], source[4], upper[2], plan, d_x) if source[4] is not None else None
            found += [d_x if wanted else None, *d_parameters, d_entry]
            at += _width(source, two, one)
        found += d_norms
        return None, None, None, None, *(None if part is None else torch.from_numpy(part) for part in found)


def _width(source: Sequence[Any], two: bool, one: bool) -> int:
    return source[3].shape[1] // (2 * two + one)


@functools.cache
def _jobs(order: int, count: int, width: int, total: int, two: bool, one: bool) -> tuple[Any, Any, Any]:
    """What of the weights mixes places, groups and ego networks: see `products_cpu`."""
    columns, nodes = (3 * two + one) * width, 3 * two * width
    by_group, by_place = [(0, 0, count, 0, columns, 0, 1, 1)], []
    if order == 2:
        by_group += [(count, count, 2 * count, 0, width, 0, 0, 1)] * two
        by_group += [(count, count, 2 * count, nodes, width, nodes, 0, not two)] * one
        by_place += [(0, count, 2 * count, (1 + k) * width, width, k * total, 0, k == 0) for k in range(2 * two)]
    egos = whole(order * count, (2 * two + one) * width)
    return np.array(by_place, np.int64).reshape(-1, 8), np.array(by_group, np.int64), egos


def _mixed(sources: Sequence[Any], read: Sequence[_Read], orders: tuple[int, ...], plan: BagPlan) -> tuple[Any, ...]:
    """What goes along rows and columns at every place (num_places, 2 C), to diagonals and to nodes (num_nodes, C)."""
    two, one, host, at = 2 in orders, 1 in orders, plan.host, 0
    widths, dtype = [_width(source, two, one) for source in sources], sources[0][0].dtype
    total, share = sum(widths), plan.host_factor("node", dtype)
    out = (
        np.empty((plan.num_places if two else 0, 2 * total), dtype),
        np.empty((plan.num_nodes if two else 0, total), dtype),
        np.empty((plan.num_nodes if one else 0, total), dtype),
    )
    for width, (x, place, ego, bias, _), given in zip(widths, sources, read, strict=True):
        jobs = _jobs(2 if given.places.shape[0] else 1, x.shape[1], width, total, two, one)
        made = np.empty((plan.num_groups, place.shape[2]), dtype), np.empty((plan.num_egos, ego.shape[2]), dtype)
        lists = plan.blocks, jobs, host.of_place, host.indptr, share
        run("mix_read", made[0].size, (*given,), (place, ego, bias), *lists, at, made, out)
        at += width
    return out


def _mixed_back(
    source: Sequence[Any], read: _Read, grads: Any, at: int, wanted: bool, plan: BagPlan
) -> tuple[_Read, list[Any]]:
    """Gradients of what is read of a source and of its parameters, from those of terms, diagonals and nodes."""
    x, place, ego, bias, _ = source
    two, one, host = grads[0].shape[0] > 0, grads[2].shape[0] > 0, plan.host
    total = grads[1 if two else 2].shape[1]
    jobs = _jobs(2 if read.places.shape[0] else 1, x.shape[1], _width(source, two, one), total, two, one)
    made = np.empty((plan.num_groups, place.shape[2]), x.dtype), np.empty((plan.num_egos, ego.shape[2]), x.dtype)
    d_weights = np.empty_like(place), np.empty_like(ego), np.empty_like(bias)
    d_read = tuple(
        (np.empty_like if two or i else np.zeros_like)(part if wanted else part[:0]) for i, part in enumerate(read)
    )
    lists = (plan.blocks, plan.spans, jobs), host.in_places, plan.host_factor("node", x.dtype), at
    run("mix_read_back", made[0].size, (*read,), (place, ego, bias), grads, *lists, made, d_read, d_weights)
    return _Read(*d_read), [*d_weights]


def _mix(x: Any, entry: Any, plan: BagPlan, out: Any) -> None:
    """To the first columns of pairs: x and its transposed, times the left and the right half of the class's weights."""
    host, share, sides = plan.host, plan.host_factor("share", x.dtype), _sides(entry)
    for part in plan.mixed_parts:
        for blocks in _apart(part.blocks):
            work = (part.last - part.first) * x.shape[1]
            run("mix", work, x, host.mixed_pair, host.mixed_turned, share, sides, blocks, out)


def _mix_back(x: Any, entry: Any, upper: Any, plan: BagPlan, d_x: Any) -> Any:
    """The gradient of `_mix` by the weights; that by x is added to `d_x`, or left out if that is empty."""
    host, sides, parts, d_entry = plan.host, _sides(entry), plan.mixed_parts, np.empty_like(entry)
    width, dtype = x.shape[1], x.dtype
    d_sides = np.empty_like(sides) if parts else np.zeros_like(sides)
    lists, jobs = (host.mixed_pair, host.mixed_turned, plan.host_factor("share", dtype)), whole(*sides.shape[2:])
    rows = max((part.last - part.first for part in parts), default=0)
    kept = tuple(np.empty((rows, columns), dtype) for columns in (width, width, sides.shape[3], sides.shape[3]))
    for part in parts:
        work = (part.last - part.first) * width
        for blocks in _apart(part.blocks):
            run("mix_back", work, x, upper, lists, sides, blocks, part.first, kept, d_x)
        run("weigh_sides", work, kept, part.sums, part.differences, jobs, part.first == 0, d_sides)
    run("halves_of", d_entry.size, d_sides, d_entry)
    return d_entry


def _sides(entry: Any) -> Any:
    """A + B and A - B of weights (num_classes, C, 2 c) of pairs and of their transposed: (2, num_classes, C, c)."""
    sides = np.empty((2, *entry.shape[:2], entry.shape[2] // 2), entry.dtype)
    run("sides_of", entry.size, entry, sides)
    return sides


def _apart(blocks: Any) -> list[Any]:
    """The blocks of each class, whose targets differ, if several threads could meet at those of different ones."""
    if kernel_threads() == 1:
        return [blocks]
    return [blocks[blocks[:, 0] == k] for k in sorted({*blocks[:, 0].tolist()})]


class _Invariants(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: BagPlan, kinds: tuple[int, ...], *flat: Tensor) -> Tensor:
        arrays, at, kept = [*map(array, flat)], 0, []
        out = np.empty((plan.num_egos, sum(bias.shape[1] for bias in arrays[2::3])), arrays[0].dtype)
        for i, order in enumerate(kinds):
            x, ego, bias = arrays[3 * i : 3 * i + 3]
            egos = _read(x, order, plan).egos
            run("mix_egos", out.size, egos, ego, bias, plan.blocks[2], whole(*ego.shape[1:]), at, out)
            kept.append(torch.from_numpy(egos))
            at += bias.shape[1]
        ctx.plan, ctx.kinds = plan, kinds
        ctx.save_for_backward(*flat, *kept)
        return torch.from_numpy(out)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        plan, saved, upper = ctx.plan, [*map(array, ctx.saved_tensors)], array(grad.contiguous())
        found, at, dtype = [], 0, upper.dtype
        for i, order in enumerate(ctx.kinds):
            (x, ego, bias), egos = saved[3 * i : 3 * i + 3], saved[3 * len(ctx.kinds) + i]
            d_egos, d_ego, d_bias = (np.empty_like(part) for part in (egos, ego, bias))
            lists = plan.blocks[2], plan.spans[2], whole(*ego.shape[1:])
            run("mix_egos_back", upper.size, egos, ego, upper, *lists, at, d_egos, d_ego, d_bias)
            places = np.zeros((plan.num_places if order == 2 else 0, 2 * x.shape[1]), dtype)
            groups = np.zeros((plan.num_groups, (2 * order - 1) * x.shape[1]), dtype)
            found += [_read_back(_Read(places, groups, d_egos), plan), d_ego, d_bias]
            at += bias.shape[1]
        return None, None, *map(torch.from_numpy, found)
