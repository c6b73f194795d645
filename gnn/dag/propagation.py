"""Messages that travel along a directed acyclic graph level by level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ...graphlib.checks import kind_of
from ...graphlib.errors import InvalidInput, InvalidType, NotFound
from ...graphlib.scalars import is_integer
from .plan import check_new
from .reduce import REDUCES, segment_reduce, spread, take_sources

if TYPE_CHECKING:
    from .plan import LevelPlan, Slice


class LevelRule(nn.Module):
    """What the edges of one relation do: message, reduce, update.

    Parameters
    ----------
    message : torch.nn.Module
        Called as `message(state_src, x_src, x_dst, attr)` with a row per edge; x_src and x_dst are None without node
        features, attr is None without edge features. Gives (edges, width).
    reduce : "sum", "mean", "max" or "gated"
        See `segment_reduce`; "gated" gives one column less than the messages have.
    update : torch.nn.Module, optional
        Called as `update(reduced, x_dst)` with a row per node that has such edges; gives its new state. Without one the
        reduced messages are the new state.
    emit : int, default 0
        The last `emit` columns of the messages are not reduced but handed out, edge by edge: a prediction per edge.
    """

    def __init__(
        self, message: nn.Module, *, reduce: str = "sum", update: nn.Module | None = None, emit: int = 0
    ) -> None:
        super().__init__()
        for name, part in (("message", message), ("update", update)):
            if not isinstance(part, nn.Module) and not (name == "update" and part is None):
                raise InvalidType(f"LevelRule: {name} must be a torch.nn.Module; got {type(part).__name__}")
        if reduce not in REDUCES:
            raise InvalidInput(f"LevelRule: reduce must be one of {', '.join(REDUCES)}; got {reduce!r}")
        if not is_integer(emit) or emit < 0:
            raise InvalidInput(f"LevelRule: emit is a number of columns, 0 or more; got {emit!r}")
        self.message = message
        self.update = update
        self.reduce = reduce
        self.emit = emit

    def forward(
        self, piece: Slice, state_src: Tensor, x_src: Tensor | None, x_rows: Tensor | None, attr: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """New states of a slice's rows, and what its edges emit."""
        x_dst = None if x_rows is None else spread(x_rows, piece)
        messages = self.message(state_src, x_src, x_dst, attr)
        emitted = None
        if self.emit:
            if messages.dim() != 2 or messages.shape[1] <= self.emit:
                raise InvalidInput(f"messages of shape {tuple(messages.shape)} leave nothing beside emit={self.emit}")
            messages, emitted = messages[:, : -self.emit], messages[:, -self.emit :]
        reduced = segment_reduce(messages, piece, self.reduce)
        return reduced if self.update is None else self.update(reduced, x_rows), emitted

    def extra_repr(self) -> str:
        return f"reduce={self.reduce!r}" + (f", emit={self.emit}" if self.emit else "")


@dataclass(frozen=True, eq=False)
class Propagated:
    """What a pass gives.

    Attributes
    ----------
    state : Tensor (num_nodes, d)
        By node id.
    edges : dict from a relation's name to Tensor (num_edges, emit)
        By edge, in the order the plan was given them; only relations whose rule emits.
    """

    state: Tensor
    edges: dict[str, Tensor]


class LevelPropagation(nn.Module):
    """One pass over a directed acyclic graph in topological order: each edge fires once, after all edges before it.

    Parameters
    ----------
    rules : mapping from a relation's name to LevelRule
        Relations of a plan without a rule carry nothing. A node that several relations reach gets the sum of their
        updates.
    checkpoint : bool, default True
        Keep only the states for the backward pass and compute each level's messages once more there: memory for
        (nodes, d) whatever the depth, about a third more time. Without it, whatever torch keeps for every edge stays.
        Perceptrons always do so.

    Notes
    -----
    O(nodes + edges) work beside the message modules; a level costs a few calls of torch (about 0.1 ms forward). One
    rule is compiled, on the processor and without `emit`, if its modules are recognised: `EdgePerceptron` and
    `NodePerceptron`, and modules of your own made of linear layers, with or without bias; ReLU, LeakyReLU, ELU,
    sigmoid, tanh, softplus, SiLU, GELU; `LayerNorm`, `GRUCell`, dropout that drops nothing; `torch.cat`, `chunk`,
    columns `[:, a:b]`; sums, differences and products of rows, or with numbers and parameters; as modules or as
    functions, nested at will. Their code then runs once a pass, on stand-ins for tensors. It costs no calls per level,
    and memory for a few rows of the networks' widths per node, for gradients also one of the first layer's per edge.
    With `teacher`, all levels are computed at once. Batch statistics in message modules are those of a level, and are
    updated twice under `checkpoint`; random modules such as dropout draw the same numbers again. There are no second
    derivatives.

    References
    ----------
    Levels in graph networks: Thost and Chen, "Directed acyclic graph neural networks", ICLR 2021, arXiv:2101.07965.
    Teacher forcing, alternating relations: Guo et al., DAC 2022, doi:10.1145/3489517.3530597; Zhong et al.,
    "PreRoutGNN", AAAI 2024, arXiv:2403.00012.

    Examples
    --------
    Longest paths, with a message that adds one:

    >>> import torch, nearhop
    >>> from nearhop.gnn.dag import LevelPlan, LevelPropagation, LevelRule
    >>> class Step(torch.nn.Module):
    ...     def forward(self, state_src, x_src, x_dst, attr):
    ...         return state_src + 1
    >>> store = nearhop.GraphStore.from_edges([0, 0, 1], [1, 2, 2], directed=True)
    >>> longest = LevelPropagation({"edge": LevelRule(Step(), reduce="max")})
    >>> longest(LevelPlan.from_store(store), torch.zeros(3, 1)).state.flatten().tolist()
    [0.0, 1.0, 2.0]
    """

    def __init__(self, rules: Mapping[str, LevelRule], *, checkpoint: bool = True) -> None:
        super().__init__()
        wrong = [name for name, rule in rules.items() if not isinstance(rule, LevelRule)]
        if wrong or not rules:
            raise InvalidType(f"LevelPropagation: rules maps names of relations to LevelRule; got {dict(rules)!r}")
        unfit = [name for name in rules if not name or "." in name]
        if unfit:  # torch names modules by paths with dots
            raise InvalidInput(
                f"LevelPropagation: names of relations must not be empty or hold a dot; got {unfit[0]!r}"
            )
        self.rules: Any = nn.ModuleDict(rules)
        self.checkpoint = checkpoint

    def forward(
        self,
        plan: LevelPlan,
        state: Tensor,
        x: Tensor | None = None,
        edge_attr: Mapping[str, Tensor] | None = None,
        *,
        teacher: Tensor | None = None,
    ) -> Propagated:
        """Propagate.

        Parameters
        ----------
        plan : LevelPlan
        state : float32 or float64 (num_nodes, d)
            Nodes without in-edges keep their row; the other rows are not read.
        x : Tensor (num_nodes, f), optional
            Node features for messages and updates.
        edge_attr : mapping from a relation's name to Tensor (num_edges, ...), optional
            Edge features, in the order the plan was given the edges.
        teacher : Tensor (num_nodes, d), optional
            States that edges read instead of the ones just computed, so that all levels are computed at once. Where it
            equals the states that the pass gives, the results are equal too.

        Raises
        ------
        InvalidInput, NotFound
            Shapes that do not fit the plan; a rule for a relation that the plan does not have; messages whose result is
            not of the state's width.
        """
        edge_attr = dict(edge_attr or {})
        self._check(plan, state, x, edge_attr, teacher)
        order, places = plan.order_on(state.device)
        width = plan.levels.widths()[0] if plan.num_levels else 0
        roots = state.index_select(0, order[:width])
        x = None if x is None else x.index_select(0, order)
        attrs = [
            edge_attr[name].index_select(0, plan.relation(name).orders_on(state.device)[0])
            if name in edge_attr
            else None
            for name in self.rules
        ]
        if teacher is not None:
            ordered, emitted = self._all_at_once(plan, roots, x, attrs, teacher.index_select(0, order))
        else:
            from . import fused, sequence

            found = fused.networks(self, roots, x, attrs[0])
            if found is not None:
                ordered, emitted = fused.run_fused(self, found, plan, roots, x, attrs[0]), [None]
            else:
                ordered, emitted = sequence.run_levels(self, plan, roots, x, attrs)
        edges = {
            name: out.index_select(0, plan.relation(name).orders_on(state.device)[1])
            for name, out in zip(self.rules, emitted, strict=True)
            if out is not None
        }
        return Propagated(ordered.index_select(0, places), edges)

    def _all_at_once(
        self, plan: LevelPlan, roots: Tensor, x: Tensor | None, attrs: list[Tensor | None], teacher: Tensor
    ) -> tuple[Tensor, list[Tensor | None]]:
        state = torch.cat([roots, roots.new_zeros((plan.num_nodes - roots.shape[0], roots.shape[1]))])
        emitted: list[Tensor | None] = []
        for (name, rule), attr in zip(self.rules.items(), attrs, strict=True):
            piece = plan.relation(name).slice(-1, roots.device)
            if piece is None:
                emitted.append(roots.new_zeros((0, rule.emit)) if rule.emit else None)
                continue
            x_src = None if x is None else take_sources(x, piece)
            x_rows = None if x is None else x.index_select(0, piece.rows)
            new, out = rule(piece, take_sources(teacher, piece), x_src, x_rows, attr)
            check_new(name, new, piece, roots)
            state = state.index_add(0, piece.rows, new)
            emitted.append(out)
        return state, emitted

    def _check(
        self, plan: LevelPlan, state: Tensor, x: Tensor | None, edge_attr: dict[str, Tensor], teacher: Tensor | None
    ) -> None:
        for name in self.rules:
            plan.relation(name)
        unknown = set(edge_attr) - set(self.rules)
        if unknown:
            raise NotFound(f"edge_attr names {sorted(unknown)}, but there are rules for {list(self.rules)} only")
        for what, given in (("state", state), ("x", x), ("teacher", teacher), *edge_attr.items()):
            if not isinstance(given, Tensor) and (given is not None or what == "state"):
                raise InvalidType(f"{what} must be a torch.Tensor; got {kind_of(given)}")
        if state.dim() != 2 or state.dtype not in (torch.float32, torch.float64):
            raise InvalidInput(
                f"state must be float32 or float64 (num_nodes, d); got {state.dtype} {tuple(state.shape)}"
            )
        for what, given in (("state", state), ("x", x), ("teacher", teacher)):
            if given is not None and (given.dim() != 2 or given.shape[0] != plan.num_nodes):
                raise InvalidInput(
                    f"{what} must have a row for each of {plan.num_nodes} nodes; got {tuple(given.shape)}"
                )
        if teacher is not None and teacher.shape != state.shape:
            raise InvalidInput(
                f"teacher must have the shape of state, {tuple(state.shape)}; got {tuple(teacher.shape)}"
            )
        for name, attr in edge_attr.items():
            count = plan.relation(name).num_edges
            if attr.dim() == 0 or attr.shape[0] != count:
                raise InvalidInput(f"edge_attr[{name!r}] must have {count} rows, one per edge; got {tuple(attr.shape)}")
