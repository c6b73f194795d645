"""A pass through perceptrons as one compiled call forward and one backward, whatever the number of levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ...graphlib.store.adjacency import id_dtype
from .lowering import lowered
from .reduce import REDUCES
from .steps import ENTRY, LINEAR

if TYPE_CHECKING:
    from .plan import LevelPlan
    from .propagation import LevelPropagation
    from .steps import Network

_WIDE = 512  # nodes of a level that is shared out
_PARTS = 8  # of a wide level, whose parameters' gradients are summed apart: a fixed number, so that sums have one order
_KEPT_BYTES = 1 << 25  # of what messages are made of; more of it is computed again for the gradient


def networks(
    model: LevelPropagation, roots: Tensor, x: Tensor | None, attr: Tensor | None
) -> tuple[Network, Network | None] | None:
    """Message and update as small networks, where the rules are one rule made of such, with widths that agree.

    None for other rules, and off the processor.
    """
    if len(model.rules) != 1 or roots.device.type != "cpu":
        return None
    rule = next(iter(model.rules.values()))
    if rule.emit or any(map(_altered, rule.modules())):
        return None
    given: dict[str, Tensor | None] = {"state_src": roots, "x_src": x, "x_dst": x, "attr": attr}
    if any(part is not None and (part.dim() != 2 or part.dtype != roots.dtype) for part in given.values()):
        return None
    message = lowered(rule.message, given, "state_src", roots)
    if message is None:
        return None
    made = message.width - (rule.reduce == "gated")
    if made < 1 or (rule.reduce == "gated" and made % 2):
        return None
    update = None
    if rule.update is not None:
        update = lowered(rule.update, {"reduced": roots.new_empty((0, made)), "x_dst": x}, "reduced", roots)
        if update is None:
            return None
        made = update.width
    both = [message] if update is None else [message, update]
    tensors = [tensor for network in both for tensor in network.tensors]
    if made != roots.shape[1] or any(t.dtype != roots.dtype or t.device.type != "cpu" for t in tensors):
        return None
    return message, update


def _altered(module: nn.Module) -> bool:
    """Whether calling it is not what its class's forward does."""
    hooks = module._forward_hooks or module._forward_pre_hooks or module._backward_hooks
    return bool(hooks) or "forward" in vars(module)


def run_fused(
    model: LevelPropagation,
    found: tuple[Network, Network | None],
    plan: LevelPlan,
    roots: Tensor,
    x: Tensor | None,
    attr: Tensor | None,
) -> Tensor:
    """States in level order through the networks of `networks`; differentiable once."""
    name, rule = next(iter(model.rules.items()))
    chosen = _Chosen(name, rule.reduce, *found)
    result: Tensor = _Fused.apply(chosen, plan, roots, x, attr, *chosen.tensors)
    return result


@dataclass(frozen=True)
class _Chosen:
    """The one rule of a pass."""

    name: str
    reduce: str
    message: Network
    update: Network | None

    @property
    def networks(self) -> list[Network]:
        return [self.message] if self.update is None else [self.message, self.update]

    @property
    def tensors(self) -> list[Tensor]:
        return [tensor for network in self.networks for tensor in network.tensors]


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rule: _Chosen, plan: LevelPlan, roots: Tensor, x: Any, attr: Any, *tensors: Tensor) -> Any:
        from . import fused_cpu as kernels

        nodes = _nodes(rule, plan, roots, x, attr, keep=any(ctx.needs_input_grad))
        dtype = nodes.states.dtype
        packed = (_packed(rule.message, dtype), _packed(rule.update, dtype))
        shared = (REDUCES.index(rule.reduce), _wires(plan, rule.name), *packed, nodes)
        with _threads():
            for first, last, parts in _runs(plan):
                _launch(kernels.forward_levels, first, last, parts, *shared)
        states = torch.from_numpy(nodes.states)
        ctx.rule, ctx.plan, ctx.shared = rule, plan, shared
        ctx.save_for_backward(states, x, attr)
        return states

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        from . import fused_cpu as kernels

        states, x, attr = (None if part is None else part.detach() for part in ctx.saved_tensors)
        plan, total = ctx.plan, grad.clone(memory_format=torch.contiguous_format)
        found = _gradients(ctx.rule, ctx.shared, total)
        with _threads():
            for first, last, parts in reversed(_runs(plan)):
                _launch(kernels.backward_levels, first, last, parts, *ctx.shared, found)
            roots = total[: int(plan.levels.offsets[1])] if plan.num_levels else total
            if not any(ctx.needs_input_grad[3:]):
                return None, None, roots, *[None] * (len(ctx.needs_input_grad) - 3)
            others = _others(ctx.rule, ctx.shared, found, states, x, attr, ctx.needs_input_grad[3:5])
        return None, None, roots, *others


def _runs(plan: LevelPlan) -> list[tuple[int, int, int]]:
    """Ranges of levels and into how many parts each is cut: a wide level alone, narrow ones between two together."""
    sizes, runs, first = np.diff(plan.levels.offsets), [], 0
    for level in np.flatnonzero(sizes >= _WIDE).tolist():
        if first < level:
            runs.append((first, level, 1))
        runs.append((level, level + 1, _PARTS))
        first = level + 1
    if first < sizes.size:
        runs.append((first, int(sizes.size), 1))
    return runs


def _gradients(rule: _Chosen, shared: Any, total: Tensor) -> Any:
    """What the backward pass fills."""
    from .fused_cpu import Gradients

    _, wires, message, update, nodes = shared
    edges = np.empty((wires.src.shape[0], nodes.sent.shape[1]), nodes.states.dtype)
    sums = []
    for net in (message, update):
        steps, most = net.bias.shape
        sums.append(np.zeros((_PARTS, steps, most + 1, most)))
    return Gradients(
        *(total.numpy(), np.empty_like(nodes.reduced), np.empty_like(nodes.sent), np.zeros_like(nodes.told)),
        *(edges, *sums),
    )


def _others(
    rule: _Chosen, shared: Any, found: Any, states: Any, x: Any, attr: Any, wanted: tuple[bool, bool]
) -> list[Tensor | None]:
    """Gradients of features and of the networks' tensors, in their order, from those of the first layers' sums."""
    from . import fused_cpu as kernels

    _, wires, _, _, nodes = shared
    message, heard = rule.message, found.edges[:0]
    if "x_dst" in message.reads:
        heard = np.empty_like(found.sent)
        kernels.add_heard(found.edges, wires.indptr, heard)
    by_part = {
        "state_src": (found.sent, states.numpy()),
        "x_src": (found.sent, x),
        "x_dst": (heard, x),
        "attr": (found.edges, attr),
    }
    given = [(message, by_part, found.sent, found.message)]
    if rule.update is not None:
        given.append(
            (rule.update, {"reduced": (found.told, nodes.reduced), "x_dst": (found.told, x)}, found.told, found.update)
        )
    d_x = torch.zeros_like(x) if wanted[0] else None
    d_attr = torch.zeros_like(attr) if wanted[1] else None
    tensors: list[Tensor | None] = []
    for network, by_part, first, sums in given:
        columns, bias, wide = [], torch.zeros(0), network.steps[0].width
        for part in network.reads:
            gradient, values = by_part[part]
            values = values if isinstance(values, np.ndarray) else values.contiguous().numpy()
            product = _product(values, gradient)
            columns.append(product[:-1, :wide].t())
            if gradient is first:  # the needed input's, which is always read
                bias = product[-1, :wide]
            target = {"x_src": d_x, "x_dst": d_x, "attr": d_attr}.get(part)
            if target is not None:
                target += torch.from_numpy(gradient[:, :wide]) @ _columns(network, part).detach()
        tensors.append(torch.cat(columns, 1).to(states.dtype))
        if network.steps[0].bias is not None:
            tensors.append(bias.to(states.dtype))
        for step, total in zip(network.steps[1:], torch.from_numpy(sums.sum(0)[1:]).to(states.dtype), strict=True):
            if step.weight is not None:
                part = total[: step.weight.shape[-1], : step.width]
                tensors.append(part.t() if step.op == LINEAR else total[0, : step.width])
            if step.bias is not None:
                tensors.append(total[-1, : step.width])
    return [d_x, d_attr, *tensors]


def _product(values: Any, gradient: Any) -> Tensor:
    """The transposed values times a gradient's rows, and the gradient's sum in a last row; float64."""
    from .fused_cpu import products_by_row

    out = np.zeros((_PARTS, values.shape[1] + 1, gradient.shape[1]))
    products_by_row(values, gradient, _PARTS, out)
    return torch.from_numpy(out.sum(0))


def _launch(kernel: Any, first: int, last: int, parts: int, *rest: Any) -> None:
    if parts > 1 and torch.get_num_threads() > 1:
        kernel(first, last, parts, *rest)
    else:
        kernel.at_once(first, last, parts, *rest)


def _nodes(rule: _Chosen, plan: LevelPlan, roots: Tensor, x: Tensor | None, attr: Tensor | None, *, keep: bool) -> Any:
    """Rows per node, with what the first layers read beside states computed for all nodes at once."""
    from .fused_cpu import Nodes

    message, update, n = rule.message, rule.update, plan.num_nodes
    states = roots.new_zeros((n, roots.shape[1]))
    states[: roots.shape[0]] = roots
    given = {"x_src": x, "x_dst": x, "attr": attr}
    sent = _part(message, "x_src", given, n)
    heard = _part(message, "x_dst", given, n, bias=True)
    by_edge = _part(message, "attr", given, plan.relation(rule.name).num_edges if "attr" in message.reads else 0)
    told = roots.new_empty((0, 8)) if update is None else _part(update, "x_dst", given, n, bias=True)
    made = message.width - (rule.reduce == "gated")
    columns = {"max": made, "gated": made // 2}.get(rule.reduce, 0)
    edges = plan.relation(rule.name).num_edges
    winners = np.empty((n, columns), id_dtype(edges))
    reduced = roots.new_empty((n, made)).numpy()
    size = edges * sum(_padded(step.width) for step in message.steps)
    kept = roots.new_empty(size if keep and size * roots.element_size() <= _KEPT_BYTES else 0).numpy()
    return Nodes(states.numpy(), sent.numpy(), heard.numpy(), reduced, told.numpy(), winners, by_edge.numpy(), kept)


def _padded(width: int) -> int:
    return -(-width // 8) * 8


def _part(network: Network, part: str, given: dict[str, Tensor | None], rows: int, *, bias: bool = False) -> Tensor:
    """What a first layer's product with one of its inputs gives, padded; zeros where it does not read it."""
    entry, values = network.steps[0], given[part]
    rest = _padded(entry.width) - entry.width
    shift = nn.functional.pad(entry.bias.detach(), (0, rest)) if bias and entry.bias is not None else None
    if part in network.reads and values is not None:
        weight = nn.functional.pad(_columns(network, part).detach(), (0, 0, 0, rest))
        product: Tensor = (
            values.detach() @ weight.t() if shift is None else torch.addmm(shift, values.detach(), weight.t())
        )
        return product
    made = entry.matrix.new_zeros((rows, entry.width + rest))
    return made if shift is None else made.copy_(shift)


def _columns(network: Network, part: str) -> Tensor:
    """The first layer's weights of one input."""
    names = list(network.reads)
    first = sum(network.reads[name] for name in names[: names.index(part)])
    return network.steps[0].matrix[:, first : first + network.reads[part]]


def _packed(network: Network | None, dtype: Any) -> Any:
    """The steps of a network as arrays, weights padded with zeros."""
    from .steps_cpu import Layers

    steps = [] if network is None else network.steps
    rows = np.array([(s.op, s.source, s.other, s.kind, s.width) for s in steps], np.int64).reshape(-1, 5)
    padded = -(-rows[:, 4] // 8) * 8
    starts = np.cumsum(padded) - padded
    most = int(padded.max(initial=8))
    if network is not None:
        most = max(most, _padded(network.reads[network.needed]))
    turned, bias = np.zeros((len(steps), most, most), dtype), np.zeros((len(steps), most), dtype)
    straight = np.zeros_like(turned)
    for s, step in enumerate(steps):
        weight = None if step.weight is None else step.weight.detach()
        if network is not None and step.op == ENTRY:
            weight = _columns(network, network.needed).detach()
        if weight is not None and weight.dim() == 2:
            turned[s, : weight.shape[0], : weight.shape[1]] = weight.numpy()
            straight[s] = turned[s].T
        elif weight is not None:
            straight[s, 0, : step.width] = weight.numpy()
        if step.bias is not None and step.op != ENTRY:
            bias[s, : step.width] = step.bias.detach().numpy()
    args = np.array([s.arg for s in steps], np.float64)
    ops, sources, others, kinds, widths = (np.ascontiguousarray(column) for column in rows.T)
    return Layers(ops, sources, others, kinds, args, widths, padded, starts, straight, turned, bias)


def _wires(plan: LevelPlan, name: str) -> Any:
    from .fused_cpu import Wires

    indptr, src, dst, out_indptr, out_edges = plan.relation(name).wires(plan.num_nodes)
    return Wires(indptr, src, dst, out_indptr, out_edges, plan.levels.offsets)


def _threads() -> Any:
    from ...graphlib.compute.jit import threads_in_use

    return threads_in_use(torch.get_num_threads())
