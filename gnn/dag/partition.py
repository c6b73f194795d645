"""Parts of a directed acyclic graph that keep its order: consecutive levels, with what surrounds them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...graphlib.errors import InvalidInput
from ...graphlib.scalars import is_integer
from ...graphlib.sparse.levels import topological_levels
from ...graphlib.store.adjacency import build_adjacency
from .plan import LevelPlan

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, repr=False)
class DagPart:
    """Some consecutive levels of a graph (the core), and nodes around them (the halo).

    Attributes
    ----------
    nodes : int64 Tensor (num_nodes,)
        Core and halo as ids of the whole graph, ascending.
    core : bool Tensor (num_nodes,)
        Which of them are the core. The cores of all parts share out the nodes of the graph.
    first_level, last_level : int
        The core is the levels from the first to before the last.
    plan : LevelPlan
        Of the edges between the part's nodes, numbered as in `nodes`. Halo nodes whose predecessors are outside begin
        its levels: they take the state they are given.
    edges : dict from a relation's name to int64 Tensor
        The part's edges, as places among the whole graph's.
    """

    nodes: Tensor
    core: Tensor
    first_level: int
    last_level: int
    plan: LevelPlan
    edges: dict[str, Tensor]

    def core_edges(self, name: str) -> Tensor:
        """Which of a relation's edges end in the core, bool (num_edges,): each edge of the graph in one part."""
        return self.core[torch.from_numpy(self.plan.edges[name][1])]

    def __repr__(self) -> str:
        return (
            f"DagPart(levels {self.first_level} to {self.last_level - 1}, {int(self.core.sum()):,} nodes and "
            f"{int((~self.core).sum()):,} around them)"
        )


def level_parts(plan: LevelPlan, *, max_nodes: int = 50_000, halo_levels: int = 4, hops: int = 0) -> PartLoader:
    """Cut a graph into parts of consecutive levels.

    Parameters
    ----------
    plan : LevelPlan
        The whole graph.
    max_nodes : int, default 50,000
        Nodes in a core; a level that is wider is a core of its own.
    halo_levels : int, default 4
        Levels before and after a core that come with it.
    hops : int, default 0
        Nodes within so many edges of the core, in either direction, come too. With at least as many hops as a model
        has layers, plus one for a teacher-forced pass, its results and gradients on the core are those of the whole
        graph, however far edges reach; levels alone promise that only where no edge skips more than `halo_levels`.

    Returns
    -------
    PartLoader

    References
    ----------
    Zhong et al., AAAI 2024, arXiv:2403.00012, who cut blocks of two levels and pad by four.

    Examples
    --------
    >>> import nearhop
    >>> from nearhop.gnn.dag import LevelPlan
    >>> chain = nearhop.GraphStore.from_edges(range(9), range(1, 10), directed=True)
    >>> [part.nodes.tolist() for part in level_parts(LevelPlan.from_store(chain), max_nodes=5, halo_levels=1)]
    [[0, 1, 2, 3, 4, 5], [4, 5, 6, 7, 8, 9]]
    """
    for name, value, least in (("max_nodes", max_nodes, 1), ("halo_levels", halo_levels, 0), ("hops", hops, 0)):
        if not is_integer(value) or value < least:
            raise InvalidInput(f"level_parts: {name} must be an integer >= {least}; got {value!r}")
    return PartLoader(plan, _cuts(plan, max_nodes), halo_levels, hops)


def _cuts(plan: LevelPlan, max_nodes: int) -> list[tuple[int, int]]:
    """Cores as ranges of levels: as many as fit."""
    offsets = plan.levels.offsets
    cuts, first = [], 0
    while first < plan.num_levels:
        last = int(np.searchsorted(offsets, offsets[first] + max_nodes, side="right")) - 1
        last = min(max(last, first + 1), plan.num_levels)
        cuts.append((first, last))
        first = last
    return cuts


class PartLoader:
    """The parts of a graph, made one by one as they are iterated over; see `level_parts`.

    Examples
    --------
    A step over all parts, whose gradients add up to those of the whole graph:

    >>> import torch, nearhop
    >>> from nearhop.gnn.dag import LevelPlan
    >>> chain = nearhop.GraphStore.from_edges(range(9), range(1, 10), directed=True)
    >>> x, y = torch.randn(10, 3), torch.randn(10, 3)
    >>> total = sum(
    ...     ((x[part.nodes] - y[part.nodes]) ** 2)[part.core].sum()
    ...     for part in level_parts(LevelPlan.from_store(chain), max_nodes=4)
    ... )
    >>> bool(torch.isclose(total, ((x - y) ** 2).sum()))
    True
    """

    def __init__(self, plan: LevelPlan, cuts: list[tuple[int, int]], halo_levels: int, hops: int) -> None:
        self._plan, self._cuts, self._halo, self._hops = plan, cuts, halo_levels, hops

    def __len__(self) -> int:
        return len(self._cuts)

    def __iter__(self) -> Iterator[DagPart]:
        for place in range(len(self)):
            yield self[place]

    def __getitem__(self, place: int) -> DagPart:
        """One part, in the order of levels."""
        first, last = self._cuts[place]
        levels = self._plan.levels
        offsets, order = levels.offsets, levels.order
        member = np.zeros(levels.num_nodes, np.bool_)
        member[order[offsets[first] : offsets[last]]] = True
        core = member.copy()
        for _ in range(self._hops):
            reached = member.copy()
            for src, dst in self._plan.edges.values():
                reached[src[member[dst]]] = True
                reached[dst[member[src]]] = True
            member = reached
        begin, end = max(first - self._halo, 0), min(last + self._halo, self._plan.num_levels)
        member[order[offsets[begin] : offsets[end]]] = True
        return _part(self._plan, member, core, first, last)

    def __repr__(self) -> str:
        return f"PartLoader({len(self)} parts of {self._plan!r})"


def _part(plan: LevelPlan, member: NDArray[np.bool_], core: NDArray[np.bool_], first: int, last: int) -> DagPart:
    nodes = np.flatnonzero(member)
    number = np.full(member.size, -1, np.int64)
    number[nodes] = np.arange(nodes.size)
    inner = {name: np.flatnonzero(member[src] & member[dst]) for name, (src, dst) in plan.edges.items()}
    ends = {name: (number[plan.edges[name][0][e]], number[plan.edges[name][1][e]]) for name, e in inner.items()}
    empty = np.empty(0, np.int64)
    src, dst = (np.concatenate([empty, *(pair[side] for pair in ends.values())]) for side in (0, 1))
    levels = topological_levels(build_adjacency(src, dst, nodes.size, nodes.size))
    return DagPart(
        nodes=torch.from_numpy(nodes),
        core=torch.from_numpy(core[nodes]),
        first_level=first,
        last_level=last,
        plan=LevelPlan(levels, ends),
        edges={name: torch.from_numpy(e) for name, e in inner.items()},
    )
