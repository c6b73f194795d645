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
from .products import array, multiply, multiply_back, run, weigh, whole

if TYPE_CHECKING:
    from .plan import BagPlan

_NONE: Any = np.empty(0, np.int64)


class Source(NamedTuple):
    """Features of one order, and the parameters of the map that reads them (see `EquivariantMap`)."""

    x: Tensor
    order: int
    place: Tensor | None
    ego: Tensor
    bias: Tensor
    entry: Tensor | None


def layer(sources: Sequence[Source], orders: Sequence[int], plan: BagPlan) -> tuple[Tensor | None, Tensor | None]:
    """Features of pairs and of nodes, averaged over copies, from maps of one or two sources, side by side.

    None of what is not among `orders`. A source of pairs comes first. Products of pairs are made some dozen rows at a
    time and their gradients some thousand: nothing as large as the pairs is kept but x.
    """
    if plan.indptr.device.type != "cpu":
        return in_torch.layer(sources, orders, plan)
    flat = [part for source in sources for part in (source.x.contiguous(), *source[2:])]
    found: Any = _Layer.apply(plan, tuple(orders), tuple(source.order for source in sources), *flat)
    return found


def invariants(x: Tensor, order: int, ego: Tensor, bias: Tensor, plan: BagPlan) -> Tensor:
    """Features of ego networks from means over their places, mixed by class: (num_egos, C_out)."""
    if plan.indptr.device.type != "cpu":
        return in_torch.invariants(x, order, ego, bias, plan)
    result: Tensor = _Invariants.apply(x.contiguous(), order, ego, bias, plan)
    return result


class _Read(NamedTuple):
    """What maps read of features, and its gradient likewise.

    `places` (num_places, 2 C) are row and column means, None of node features; `groups` (num_groups, 3 C), a node's
    diagonal and means over its places of these, or (num_groups, C), node features; `egos` (num_egos, 2 C) or C, means
    over an ego network's places of the diagonal and of the row means, or of node features.
    """

    places: Any
    groups: Any
    egos: Any


def _read(x: Any, order: int, plan: BagPlan) -> _Read:
    host, width = plan.host, x.shape[1]
    size, share = plan.host_factor("size", x.dtype), plan.host_factor("group", x.dtype)
    egos = np.empty((plan.num_egos, order * width), x.dtype)
    if order == 1:
        run("take_nodes", plan.num_places * width, x, host.nodes, host.indptr, size, egos)
        return _Read(None, x[host.node_of_group], egos)
    places, groups = np.empty((plan.num_places, 2 * width), x.dtype), np.empty((plan.num_groups, 3 * width), x.dtype)
    work, one = plan.num_entries * width, plan.host_factor("one", x.dtype)
    run("moments", work, x, host.pair, one, host.indptr, host.entry_ptr, size, places, egos)
    run("group_means", places.size, x, host.diagonal, places, host.node_of_group, *host.group_copies, share, groups)
    return _Read(places, groups, egos)


def _read_back(read: _Read, plan: BagPlan) -> Any:
    """The gradient of features from that of what is read of them."""
    host, dtype, width = plan.host, read.egos.dtype, read.egos.shape[1] // (1 if read.places is None else 2)
    size, share = plan.host_factor("size", dtype), plan.host_factor("group", dtype)
    nodes = np.empty((plan.num_nodes, width), dtype)
    lists = (*host.node_copies, host.group_of_place, host.ego_of_place)
    run("to_nodes", plan.num_places * width, read.groups, 0, read.egos, 0, lists, share, size, nodes, 0, width)
    if read.places is None:
        return nodes
    terms, out = np.empty_like(read.places), np.empty((plan.num_pairs, width), dtype)
    given = (read.groups, read.egos, host.group_of_place, share, host.indptr, size, read.places)
    run("moments_back", terms.size, *given, terms)
    entries = (host.pair_ptr, host.row, host.col, host.nodes)
    whole_pairs = plan.host_factor("one", dtype)
    run("spread", plan.num_entries * width, terms, nodes, entries, size, whole_pairs, True, out)
    return out


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: BagPlan, orders: tuple[int, ...], kinds: tuple[int, ...], *flat: Tensor | None) -> Any:
        sources = [[None if part is None else array(part) for part in flat[i : i + 5]] for i in range(0, len(flat), 5)]
        read = [_read(source[0], kind, plan) for source, kind in zip(sources, kinds, strict=True)]
        ctx.plan, ctx.orders, ctx.kinds = plan, orders, kinds
        kept = [None if part is None else torch.from_numpy(part) for one in read for part in one]
        ctx.save_for_backward(*flat, *kept)
        ctx.set_materialize_grads(False)
        terms, diagonal, nodes = _terms(sources, read, orders, plan)
        pairs = None
        if 2 in orders:
            pairs = np.empty((plan.num_pairs, diagonal.shape[1]), diagonal.dtype)
            host, size, scale = plan.host, *(plan.host_factor(name, pairs.dtype) for name in ("size", "count"))
            entries = (host.pair_ptr, host.row, host.col, host.nodes)
            run("spread", plan.num_entries * pairs.shape[1], terms, diagonal, entries, size, scale, False, pairs)
            if sources[0][4] is not None:
                _mix(sources[0][0], sources[0][4], plan, pairs)
        return tuple(None if part is None else torch.from_numpy(part) for part in (pairs, nodes))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_pairs: Tensor | None, d_nodes: Tensor | None) -> Any:
        plan, two, one, host = ctx.plan, 2 in ctx.orders, 1 in ctx.orders, ctx.plan.host
        saved: list[Any] = [None if part is None else array(part) for part in ctx.saved_tensors]
        count = len(ctx.kinds)
        sources = [saved[5 * i : 5 * i + 5] for i in range(count)]
        read = [_Read(*saved[5 * count + 3 * i : 5 * count + 3 * i + 3]) for i in range(count)]
        total, dtype = sum(_width(source, two, one) for source in sources), saved[0].dtype
        none = np.empty((0, 0), dtype)

        def given(grad: Tensor | None, rows: int, wanted: bool) -> Any:
            if not wanted:
                return none
            return np.zeros((rows, total), dtype) if grad is None else array(grad.contiguous())

        upper, upper_nodes = given(d_pairs, plan.num_pairs, two), given(d_nodes, plan.num_nodes, one)
        terms, diagonal = (np.empty((plan.num_places, 2 * total), dtype), upper[host.diagonal]) if two else (none, none)
        if two:
            size, scale = plan.host_factor("size", dtype), plan.host_factor("count", dtype)
            work = plan.num_entries * total
            run("moments", work, upper, host.pair, scale, host.indptr, host.entry_ptr, size, terms, none)
        found, at = [], 0
        for i, (source, one_read) in enumerate(zip(sources, read, strict=True)):
            wanted = ctx.needs_input_grad[3 + 5 * i]
            grads = (terms, diagonal, upper_nodes)
            d_read, d_parameters = _terms_back(source, one_read, grads, at, total, wanted, plan)
            d_x = _read_back(d_read, plan) if wanted else np.zeros_like(source[0])
            d_entry = _mix_back(source[0], source[4], upper, plan, d_x) if source[4] is not None else None
            found += [d_x if wanted else None, *d_parameters, d_entry]
            at += _width(source, two, one)
        return None, None, None, *(None if part is None else torch.from_numpy(part) for part in found)


def _width(source: Sequence[Any], two: bool, one: bool) -> int:
    return source[3].shape[1] // (2 * two + one)


@functools.cache
def _jobs(order: int, count: int, width: int, total: int, two: bool, one: bool) -> tuple[Any, Any]:
    """What of the weights mixes groups and what places: see `products_cpu`."""
    columns, nodes = (3 * two + one) * width, 3 * two * width
    by_group, by_place = [(0, 0, count, 0, columns, 0, 1, 1)], []
    if order == 2:
        by_group += [(count, count, 2 * count, 0, width, 0, 0, 1)] * two
        by_group += [(count, count, 2 * count, nodes, width, nodes, 0, not two)] * one
        by_place += [(0, count, 2 * count, (1 + k) * width, width, k * total, 0, k == 0) for k in range(2 * two)]
    return np.array(by_group, np.int64), np.array(by_place, np.int64).reshape(-1, 8)


def _terms(sources: Sequence[Any], read: Sequence[_Read], orders: tuple[int, ...], plan: BagPlan) -> tuple[Any, ...]:
    """What goes along rows and columns at every place (num_places, 2 C), to diagonals and to nodes (num_nodes, C)."""
    two, one, host, at = 2 in orders, 1 in orders, plan.host, 0
    widths, dtype = [_width(source, two, one) for source in sources], sources[0][0].dtype
    total, lists = sum(widths), (*host.node_copies, host.group_of_place, host.ego_of_place)
    terms = np.empty((plan.num_places, 2 * total), dtype) if two else None
    diagonal = np.empty((plan.num_nodes, total), dtype) if two else None
    nodes = np.empty((plan.num_nodes, total), dtype) if one else None
    share = plan.host_factor("node", dtype)
    for width, (x, place, ego, bias, _), (places, groups, egos) in zip(widths, sources, read, strict=True):
        by_group, by_place = _jobs(1 if places is None else 2, x.shape[1], width, total, two, one)
        mixed = np.empty((plan.num_groups, place.shape[2]), dtype)
        multiply(groups, place, plan.blocks.groups, by_group, mixed)
        every = multiply(egos, ego, plan.blocks.egos, whole(*ego.shape[1:]), bias[host.class_of_ego])
        work = plan.num_places * width
        if two:
            run("place_terms", work, mixed, every, host.group_of_place, host.indptr, width, at, terms)
            run("to_nodes", work, mixed, 0, every, 0, lists, share, share, diagonal, at, width)
            if places is not None:
                multiply(places, place, plan.blocks.places, by_place, terms, at=at)
        if one:
            columns = (3 * two * width, 2 * two * width)
            run("to_nodes", work, mixed, columns[0], every, columns[1], lists, share, share, nodes, at, width)
        at += width
    return terms, diagonal, nodes


def _terms_back(
    source: Sequence[Any], read: _Read, grads: Any, at: int, total: int, wanted: bool, plan: BagPlan
) -> tuple[_Read, list[Any]]:
    """Gradients of what is read of a source and of its parameters, from those of terms, diagonals and nodes."""
    x, place, ego, bias, _ = source
    two, one, host = grads[0].shape[0] > 0, grads[2].shape[0] > 0, plan.host
    width = _width(source, two, one)
    by_group, by_place = _jobs(1 if read.places is None else 2, x.shape[1], width, total, two, one)
    groups, egos = (np.empty((n, w.shape[2]), x.dtype) for n, w in ((plan.num_groups, place), (plan.num_egos, ego)))
    work, rest = plan.num_places * width, (host.nodes, plan.host_factor("node", x.dtype))
    run("terms_back", work, grads, at, *host.group_copies, *rest, 2 * two, groups)
    run("terms_back", work, grads, at, host.indptr, _NONE, *rest, 1 * two, egos)
    d_place, d_bias = weigh(read.groups, groups, plan.spans.groups, by_group, np.empty_like(place)), np.empty_like(bias)
    if two and read.places is not None:
        weigh(read.places, grads[0], plan.spans.places, by_place, d_place, at=at)
    all_egos = whole(*ego.shape[1:])
    d_ego = weigh(read.egos, egos, plan.spans.egos, all_egos, np.empty_like(ego))
    run("sum_spans", egos.size, egos, plan.spans.egos, d_bias)
    parameters = [d_place, d_ego, d_bias]
    if not wanted:
        return _Read(None, None, None), parameters
    d_groups = multiply_back(groups, place, plan.blocks.groups, by_group, np.empty_like(read.groups))
    d_egos = multiply_back(egos, ego, plan.blocks.egos, all_egos, np.empty_like(read.egos))
    d_places = None
    if read.places is not None:
        d_places = np.empty_like(read.places) if two else np.zeros_like(read.places)
        if two:
            multiply_back(grads[0], place, plan.blocks.places, by_place, d_places, at=at)
    return _Read(d_places, d_groups, d_egos), parameters


def _mix(x: Any, entry: Any, plan: BagPlan, out: Any) -> None:
    """To the first columns of pairs: x and its transposed, times the left and the right half of the class's weights."""
    host, share, sides = plan.host, plan.host_factor("share", x.dtype), _sides(entry)
    for part in plan.mixed_parts:
        for blocks in _apart(part.blocks):
            work = (part.last - part.first) * x.shape[1]
            run("mix", work, x, host.mixed_pair, host.mixed_turned, share, sides, blocks, out)


def _mix_back(x: Any, entry: Any, upper: Any, plan: BagPlan, d_x: Any) -> Any:
    """The gradient of `_mix` by the weights; that by x is added to `d_x`."""
    host, sides, parts, d_entry = plan.host, _sides(entry), plan.mixed_parts, np.empty_like(entry)
    width, dtype = x.shape[1], x.dtype
    d_sides = np.empty_like(sides) if parts else np.zeros_like(sides)
    lists, jobs = (host.mixed_pair, host.mixed_turned, plan.host_factor("share", dtype)), whole(*sides.shape[2:])
    rows = max((part.last - part.first for part in parts), default=0)
    kept = tuple(np.empty((rows, columns), dtype) for columns in (width, width, sides.shape[3], sides.shape[3]))
    for part in parts:
        for blocks in _apart(part.blocks):
            work = (part.last - part.first) * width
            run("mix_back", work, x, upper, lists, sides, blocks, part.first, kept, d_x)
        weigh(kept[0], kept[2], part.sums, jobs, d_sides[0], afresh=part.first == 0)
        weigh(kept[1], kept[3], part.differences, jobs, d_sides[1], afresh=part.first == 0)
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
    def forward(ctx: Any, x: Tensor, order: int, ego: Tensor, bias: Tensor, plan: BagPlan) -> Tensor:
        read, weight = _read(array(x), order, plan), array(ego)
        ctx.plan, ctx.order, ctx.shape = plan, order, read.groups.shape
        ctx.save_for_backward(ego, bias, torch.from_numpy(read.egos))
        start = array(bias)[plan.host.class_of_ego]
        return torch.from_numpy(multiply(read.egos, weight, plan.blocks.egos, whole(*weight.shape[1:]), start))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        plan, (ego, bias, egos), upper = ctx.plan, map(array, ctx.saved_tensors), array(grad.contiguous())
        jobs, d_bias, dtype = whole(*ego.shape[1:]), np.empty_like(bias), ego.dtype
        d_egos = multiply_back(upper, ego, plan.blocks.egos, jobs, np.empty_like(egos))
        places = np.zeros((plan.num_places, egos.shape[1]), dtype) if ctx.order == 2 else None
        d_x = _read_back(_Read(places, np.zeros(ctx.shape, dtype), d_egos), plan)
        d_ego = weigh(egos, upper, plan.spans.egos, jobs, np.empty_like(ego))
        run("sum_spans", upper.size, upper, plan.spans.egos, d_bias)
        return torch.from_numpy(d_x), None, torch.from_numpy(d_ego), torch.from_numpy(d_bias), None
