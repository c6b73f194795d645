"""A pass through perceptrons as one compiled call forward and one backward, whatever the number of levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from .linear import level_runs
from .lowering import Network, lowered
from .perceptron import ACTIVATIONS
from .reduce import REDUCES

if TYPE_CHECKING:
    from .plan import LevelPlan
    from .propagation import LevelPropagation

_WIDE = 512  # nodes of a level from which threads pay
_GROUPS = 8  # of blocks, whose parameters' gradients are summed apart: a fixed number, so that sums have one order


def networks(
    model: LevelPropagation, roots: Tensor, x: Tensor | None, attr: Tensor | None
) -> tuple[Network, Network | None] | None:
    """Message and update as perceptrons, where the rules are one rule made of such, with widths that agree.

    None for other rules, and off the processor.
    """
    if len(model.rules) != 1 or roots.device.type != "cpu":
        return None
    rule = next(iter(model.rules.values()))
    if rule.emit or any(map(_altered, rule.modules())):
        return None
    given: dict[str, Tensor | None] = {"state_src": roots, "x_src": x, "x_dst": x, "attr": attr}
    message = lowered(rule.message, given, "state_src")
    if message is None:
        return None
    made = message.layers[-1].out_features - (rule.reduce == "gated")
    if rule.reduce == "gated" and made % 2:
        return None
    update = None
    if rule.update is not None:
        given["reduced"] = roots.new_empty((0, made))
        update = lowered(rule.update, {name: given[name] for name in ("reduced", "x_dst")}, "reduced")
        if update is None:
            return None
    both = [message] if update is None else [message, update]
    layers = [layer for network in both for layer in network.layers]
    if any(type(layer) is not nn.Linear or layer.weight.dtype != roots.dtype for layer in layers):
        return None
    if len({id(layer) for layer in layers}) != len(layers):  # a layer in two places: its gradients would add up
        return None
    for network in both:
        for part, wide in network.reads.items():
            values = given[part]
            if values is None or values.dim() != 2 or values.shape[1] != wide or values.dtype != roots.dtype:
                return None
        widths = [sum(network.reads.values()), *(layer.out_features for layer in network.layers)]
        if any(layer.in_features != wide for layer, wide in zip(network.layers, widths, strict=False)):
            return None
    if update is not None:
        made = update.layers[-1].out_features
    return (message, update) if made == roots.shape[1] else None


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
    result: Tensor = _Fused.apply(chosen, plan, roots, x, attr, *[p for p in model.parameters() if p.requires_grad])
    return result


@dataclass(frozen=True)
class _Chosen:
    """The one rule of a pass."""

    name: str
    reduce: str
    message: Network
    update: Network | None


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rule: _Chosen, plan: LevelPlan, roots: Tensor, x: Any, attr: Any, *parameters: Tensor) -> Any:
        from . import fused_cpu as kernels

        nodes = _nodes(rule, plan, roots, x, attr)
        shared = (REDUCES.index(rule.reduce), _wires(plan, rule.name), *_networks(rule, roots), nodes)
        with _threads():
            for first, last, wide in level_runs(plan.levels.offsets, _WIDE):
                _launch(kernels.forward_nodes, wide, first, last, *shared)
        states = torch.from_numpy(nodes.states)
        ctx.rule, ctx.plan, ctx.shared, ctx.parameters = rule, plan, shared, parameters
        ctx.save_for_backward(states, x, attr)
        return states

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        from . import fused_cpu as kernels

        states, x, attr = (None if part is None else part.detach() for part in ctx.saved_tensors)
        plan = ctx.plan
        total = grad.clone(memory_format=torch.contiguous_format)
        wanted, others = ctx.needs_input_grad[3:5], any(ctx.needs_input_grad[3:])
        found = _gradients(ctx.rule, ctx.shared, total, by_edge=others)
        alone = found._replace(message=found.message[:1], update=found.update[:1])
        with _threads():
            for first, last, wide in reversed(list(level_runs(plan.levels.offsets, _WIDE))):
                _launch(kernels.backward_nodes, wide, first, last, *ctx.shared, found if wide else alone)
        width = int(plan.levels.offsets[1]) if plan.num_levels else 0
        if not others:
            return None, None, total[:width], *[None] * (2 + len(ctx.parameters))
        d_x, d_attr, by_parameter = _others(ctx.rule, ctx.shared, found, states, x, attr, wanted)
        return None, None, total[:width], d_x, d_attr, *[by_parameter.get(id(p)) for p in ctx.parameters]


def _gradients(rule: _Chosen, shared: Any, total: Tensor, *, by_edge: bool) -> Any:
    """What the backward pass fills; edges' rows are kept where something is read of their ends or of themselves."""
    from .fused_cpu import Gradients

    _, wires, message, update, nodes = shared
    kept = by_edge and not {"x_dst", "attr"}.isdisjoint(rule.message.reads)
    edges = np.empty((wires.src.shape[0] if kept else 0, nodes.sent.shape[1]), nodes.states.dtype)
    sums = []
    for net in (message, update):
        layers, most = net.bias.shape
        sums.append(np.zeros((_GROUPS, max(layers - 1, 0), most + 1, most)))
    return Gradients(
        *(total.numpy(), np.empty_like(nodes.reduced), np.empty_like(nodes.sent), np.zeros_like(nodes.told)),
        *(edges, *sums),
    )


def _others(
    rule: _Chosen, shared: Any, found: Any, states: Any, x: Any, attr: Any, wanted: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None, dict[int, Tensor]]:
    """Gradients of features and, by their ids, of parameters, from those of the first layers' sums."""
    from . import fused_cpu as kernels

    _, wires, _, _, nodes = shared
    sent, told, edges = (torch.from_numpy(part) for part in (found.sent, found.told, found.edges))
    message = rule.message
    by_part = {"state_src": (sent, states), "x_src": (sent, x), "attr": (edges, attr)}
    if "x_dst" in message.reads and found.edges.shape[0]:
        heard = np.empty_like(found.sent)
        with _threads():
            kernels.add_heard(found.edges, wires.indptr, heard)
        by_part["x_dst"] = (torch.from_numpy(heard), x)
    given = [(message, by_part, sent, found.message)]
    if rule.update is not None:
        nodes.reduced[np.diff(wires.indptr) == 0] = 0  # never written, and their gradients are 0
        by_part = {"reduced": (told, torch.from_numpy(nodes.reduced)), "x_dst": (told, x)}
        given.append((rule.update, by_part, told, found.update))
    d_x = torch.zeros_like(x) if wanted[0] else None
    d_attr = torch.zeros_like(attr) if wanted[1] else None
    by_parameter: dict[int, Tensor] = {}
    for network, by_part, first, sums in given:
        layer = network.layers[0]
        by_parameter[id(layer.bias)] = first.sum(0)
        parts = []
        for part in network.reads:
            gradient, values = by_part.get(part, (None, None))
            if gradient is None or values is None:  # no edges
                parts.append(layer.weight.new_zeros((layer.out_features, network.reads[part])))
                continue
            parts.append(gradient.t() @ values)
            target = {"x_src": d_x, "x_dst": d_x, "attr": d_attr}.get(part)
            if target is not None:
                target += gradient @ _columns(network, part).detach()
        by_parameter[id(layer.weight)] = torch.cat(parts, 1)
        for layer, total in zip(network.layers[1:], torch.from_numpy(sums.sum(0)).to(states.dtype), strict=True):
            by_parameter[id(layer.weight)] = total[: layer.in_features, : layer.out_features].t()
            by_parameter[id(layer.bias)] = total[-1, : layer.out_features]
    return d_x, d_attr, by_parameter


def _launch(kernel: Any, wide: bool, first: int, last: int, *rest: Any) -> None:
    if wide:
        kernel(first, last, *rest)
    else:
        kernel.at_once(first, last, *rest)


def _nodes(rule: _Chosen, plan: LevelPlan, roots: Tensor, x: Tensor | None, attr: Tensor | None) -> Any:
    """Rows per node, with what the first layers read beside states computed for all nodes at once."""
    from .fused_cpu import Nodes

    message, update, n = rule.message, rule.update, plan.num_nodes
    states = roots.new_zeros((n, roots.shape[1]))
    states[: roots.shape[0]] = roots
    given = {"x_src": x, "x_dst": x, "attr": attr}
    hidden = message.layers[0].out_features
    sent = _part(message, "x_src", given, n)
    heard = _part(message, "x_dst", given, n).add_(message.layers[0].bias)
    by_edge = _part(message, "attr", given, 0) if attr is None else _part(message, "attr", given, attr.shape[0])
    if "attr" not in message.reads:
        by_edge = roots.new_empty((0, hidden))
    made = message.layers[-1].out_features - (rule.reduce == "gated")
    told = roots.new_empty((0, 1))
    if update is not None:
        told = _part(update, "x_dst", given, n).add_(update.layers[0].bias)
    columns = {"max": made, "gated": made // 2}.get(rule.reduce, 0)
    winners = np.empty((n, columns), np.int64)
    reduced = roots.new_empty((n, made)).numpy()
    return Nodes(states.numpy(), sent.numpy(), heard.numpy(), reduced, told.numpy(), winners, by_edge.numpy())


def _part(network: Any, part: str, given: dict[str, Tensor | None], rows: int) -> Tensor:
    """What a first layer's product with one of its inputs gives, without bias; zeros where it does not read it."""
    weight, values = network.layers[0].weight, given[part]
    if part not in network.reads or values is None:
        return weight.new_zeros((rows, weight.shape[0]))
    product: Tensor = values @ _columns(network, part).t()
    return product


def _columns(network: Any, part: str) -> Tensor:
    """The first layer's weights of one input."""
    names = list(network.reads)
    first = sum(network.reads[name] for name in names[: names.index(part)])
    weight: Tensor = network.layers[0].weight[:, first : first + network.reads[part]]
    return weight


def _networks(rule: _Chosen, roots: Tensor) -> tuple[Any, Any]:
    dtype = torch.empty(0, dtype=roots.dtype).numpy().dtype
    return _packed(rule.message, dtype), _packed(rule.update, dtype)


def _packed(network: Any, dtype: Any) -> Any:
    """Weights of all layers in one array each way, padded with zeros."""
    from .fused_cpu import Layers

    if network is None:
        empty = np.zeros((0, 1, 1), dtype)
        return Layers(empty, empty, empty[:, 0], np.zeros(1, np.int64), np.zeros(0, np.int64))
    matrices = [_columns(network, network.needed), *(layer.weight for layer in network.layers[1:])]
    widths = [matrices[0].shape[1], *(matrix.shape[0] for matrix in matrices)]
    most = -(-max(widths) // 8) * 8
    turned, bias = np.zeros((len(matrices), most, most), dtype), np.zeros((len(matrices), most), dtype)
    for layer, matrix in enumerate(matrices):
        turned[layer, : matrix.shape[0], : matrix.shape[1]] = matrix.detach().numpy()
        bias[layer, : matrix.shape[0]] = network.layers[layer].bias.detach().numpy()
    kinds = [ACTIVATIONS.index(kind) for kind in network.activations]
    straight = np.ascontiguousarray(turned.transpose(0, 2, 1))
    return Layers(straight, turned, bias, np.array(widths, np.int64), np.array(kinds, np.int64))


def _wires(plan: LevelPlan, name: str) -> Any:
    from .fused_cpu import Wires

    return Wires(*plan.relation(name).wires(plan.num_nodes))


def _threads() -> Any:
    from ...graphlib.compute.jit import threads_in_use

    return threads_in_use(torch.get_num_threads())
