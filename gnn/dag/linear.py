"""Linear messages along a directed acyclic graph, without a module: path counts, longest paths, influence, decay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...graphlib.checks import kind_of
from ...graphlib.errors import InvalidInput, InvalidType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .plan import LevelPlan

HOWS = ("sum", "mean", "max", "min")
_WIDE = 1 << 12  # nodes of a level from which threads pay


def scan(
    plan: LevelPlan,
    start: Tensor,
    *,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
    reduce: str = "sum",
    relation: str | None = None,
) -> Tensor:
    """`h[v] = start[v] + reduce over edges u -> v of (scale * h[u] + shift)`, in topological order.

    Parameters
    ----------
    plan : LevelPlan
    start : float32 or float64 (num_nodes, d)
        What each node adds of its own; the state of nodes without in-edges.
    scale, shift : Tensor (num_edges,), optional
        By default 1 and 0; in the order the plan was given the edges.
    reduce : "sum", "mean", "max" or "min", default "sum"
    relation : str, optional
        Which of the plan's relations carries; needed where it has several.

    Returns
    -------
    Tensor (num_nodes, d)

    Notes
    -----
    One compiled call forward and one backward, O(edges * d) each, with gradients of all three inputs (once; a maximum's
    goes to the first edge that has it). The same bits at any thread count. On tensors of the processor only.

    Examples
    --------
    The number of paths to each node, and the longest:

    >>> import torch, nearhop
    >>> from nearhop.gnn.dag import LevelPlan, scan
    >>> plan = LevelPlan.from_store(nearhop.GraphStore.from_edges([0, 0, 1, 2], [1, 2, 3, 3], directed=True))
    >>> first = torch.tensor([[1.0], [0], [0], [0]])
    >>> scan(plan, first).flatten().tolist()
    [1.0, 1.0, 1.0, 2.0]
    >>> scan(plan, torch.zeros(4, 1), shift=torch.ones(4), reduce="max").flatten().tolist()
    [0.0, 1.0, 1.0, 2.0]
    """
    name = _only(plan, relation)
    edges = plan.relation(name)
    if reduce not in HOWS:
        raise InvalidInput(f"scan: reduce must be one of {', '.join(HOWS)}; got {reduce!r}")
    for what, values in (("start", start), ("scale", scale), ("shift", shift)):
        if not isinstance(values, Tensor) and (values is not None or what == "start"):
            raise InvalidType(f"scan: {what} must be a torch.Tensor; got {kind_of(values)}")
    if start.dim() != 2 or start.shape[0] != plan.num_nodes or start.dtype not in (torch.float32, torch.float64):
        raise InvalidInput(
            f"scan: start must be float32 or float64 ({plan.num_nodes}, d); got {start.dtype} {tuple(start.shape)}"
        )
    if start.device.type != "cpu":
        raise InvalidInput(f"scan works on tensors of the processor; start lies on {start.device}")
    given = []
    for what, values, fill in (("scale", scale, 1.0), ("shift", shift, 0.0)):
        values = start.new_full((edges.num_edges,), fill) if values is None else values
        if values.shape != (edges.num_edges,) or values.dtype != start.dtype:
            raise InvalidInput(
                f"scan: {what} must be {start.dtype} ({edges.num_edges},); got {values.dtype} {tuple(values.shape)}"
            )
        given.append(values)
    order, places = plan.order_on(start.device)
    edge_order = edges.orders_on(start.device)[0]
    h: Tensor = _Scan.apply(
        start.index_select(0, order), *(values.index_select(0, edge_order) for values in given), plan, name, reduce
    )
    return h.index_select(0, places)


def _only(plan: LevelPlan, relation: str | None) -> str:
    if relation is None and len(plan.relations) != 1:
        raise InvalidInput(f"scan: the plan has relations {list(plan.relations)}; name one with relation=")
    return next(iter(plan.relations)) if relation is None else relation


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, start: Tensor, scale: Tensor, shift: Tensor, plan: LevelPlan, name: str, reduce: str) -> Any:
        from . import linear_cpu as kernels

        edges, how = plan.relation(name), HOWS.index(reduce)
        h = start.contiguous().clone()
        winners = np.empty(h.shape if how >= kernels.MAX else (0, h.shape[1]), np.int64)
        indptr = edges.wires(plan.num_nodes)[0]
        shared = (how, indptr, edges.src, scale.detach().numpy(), shift.detach().numpy(), h.numpy(), winners)
        with _threads():
            for first, last, wide in level_runs(plan.levels.offsets, _WIDE):
                (kernels.scan_wide if wide else kernels.scan_some)(first, last, *shared)
        ctx.plan, ctx.name, ctx.how, ctx.winners, ctx.indptr = plan, name, how, winners, indptr
        ctx.save_for_backward(scale, h)
        return h

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        from . import linear_cpu as kernels

        scale, h = ctx.saved_tensors
        edges = ctx.plan.relation(ctx.name)
        total = grad.contiguous().clone()
        d_scale, d_shift = torch.zeros_like(scale), torch.zeros_like(scale)
        out_indptr, by_source = edges.wires(ctx.plan.num_nodes)[3:]
        outgoing = kernels.Outgoing(out_indptr, by_source, edges.dst, np.diff(ctx.indptr))
        shared = (ctx.how, outgoing, scale.detach().numpy(), h.numpy())
        out = (ctx.winners, total.numpy(), d_scale.numpy(), d_shift.numpy())
        with _threads():
            for first, last, wide in reversed(list(level_runs(ctx.plan.levels.offsets, _WIDE))):
                (kernels.scan_back_wide if wide else kernels.scan_back_some)(first, last, *shared, *out)
        return total, d_scale, d_shift, None, None, None


def _threads() -> Any:
    from ...graphlib.compute.jit import threads_in_use

    return threads_in_use(torch.get_num_threads())


def level_runs(offsets: Any, nodes: int) -> Iterator[tuple[int, int, bool]]:
    """Ranges of nodes: each level of at least so many alone, the narrow levels between two such together."""
    wide = np.diff(offsets) >= (nodes if torch.get_num_threads() > 1 else np.iinfo(np.int64).max)
    first = 0
    for level in np.flatnonzero(wide).tolist():
        if first < level:
            yield int(offsets[first]), int(offsets[level]), False
        yield int(offsets[level]), int(offsets[level + 1]), True
        first = level + 1
    if first < wide.size:
        yield int(offsets[first]), int(offsets[-1]), False
