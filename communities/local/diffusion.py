"""Local clusters by flow diffusion: pour mass on the seeds and let it settle where nodes can hold it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import unmasked
from ...graphlib.compute.streams import Purpose, root_of
from ...graphlib.errors import InvalidInput, InvalidType
from ...graphlib.given_store import check_store
from ...graphlib.scalars import is_integer, is_number
from .cluster import LocalCluster, check_labelled, finish, open_seeds
from .graph import ENTRIES_AT_ONCE, Labels, LocalGraph

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore
    from ...graphlib.types import EdgeType

_FALLS = 4  # doublings without a better cut after which the automatic search for a mass ends


@dataclass(frozen=True)
class FlowSolver:
    """How a diffusion is solved.

    Parameters
    ----------
    p : float >= 2, default 2
        Norm of the flow. Larger p keeps flow nearer to the seeds' cluster; each update then costs a bisection.
    sink : {"degree", "one"}, default "degree"
        What a node can hold (T): its weighted degree, or 1. The volume, or the number, of the nodes with a potential is
        at most the source mass.
    tolerance : float > 0, default 1e-4
        Excess that a node may keep.
    max_passes : int, default 100
        A pass updates every node with excess once; what is left then shows as `converged=False`.
    """

    p: float = 2.0
    sink: str = "degree"
    tolerance: float = 1e-4
    max_passes: int = 100

    def __post_init__(self) -> None:
        if not is_number(self.p) or not 2 <= self.p < np.inf:
            raise InvalidInput(f"p must be a number in [2, inf); got {self.p!r}")
        if self.sink not in ("degree", "one"):
            raise InvalidInput(f'sink must be "degree" or "one"; got {self.sink!r}')
        if not is_number(self.tolerance) or not 0 < self.tolerance < np.inf:
            raise InvalidInput(f"tolerance must be a positive number; got {self.tolerance!r}")
        if not is_integer(self.max_passes) or self.max_passes < 1:
            raise InvalidInput(f"max_passes must be a positive integer; got {self.max_passes!r}")


@dataclass(frozen=True)
class MassSweep:
    """Source masses to try, from which the cut of least conductance is chosen.

    Attributes
    ----------
    low, high : float
        Smallest and largest total mass.
    steps : int
        How many, equally spaced.
    """

    low: float
    high: float
    steps: int = 15

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high < np.inf or self.steps < 1:
            raise InvalidInput(
                f"MassSweep needs 0 < low <= high and steps >= 1; got {self.low}, {self.high}, {self.steps}"
            )

    @classmethod
    def of_volume(cls, volume: float) -> MassSweep:
        """The masses of the paper for a target of this volume: 1.5, 1.75, ..., 5 times it."""
        return cls(1.5 * volume, 5.0 * volume, 15)

    @property
    def masses(self) -> NDArray[np.float64]:
        return np.linspace(self.low, self.high, self.steps)


def flow_diffusion(
    store: GraphStore,
    seeds: ArrayLike,
    mass: float | ArrayLike | MassSweep | None = None,
    labels: Labels = None,
    epsilon: float = 0.05,
    seed: int = 0,
    *,
    attributes: ArrayLike | None = None,
    gamma: float = 0.02,
    solver: FlowSolver | None = None,
    edge_type: EdgeType | None = None,
) -> LocalCluster:
    """The cluster of seeds by flow diffusion, touching only their neighbourhood.

    Solves min over x >= 0 of 1/2 x' L x + x' (T - Delta), where Delta is the mass on the seeds, T what nodes can hold
    and L the Laplacian of the reweighted graph: excess flows along edges until no node holds more than it can. With
    labels this is label-based flow diffusion (LFD), with attributes weighted flow diffusion (WFD).

    Parameters
    ----------
    store : GraphStore
        With undirected edges; edge weights, where there are any, are >= 0.
    seeds : integer or integers
        Positions of one or more nodes (`store.lookup` translates user ids).
    mass : float, array (num_seeds,), MassSweep or None
        Total mass, shared out by the seeds' degrees; or the mass of each seed; or masses to try, of which the one with
        the least conductance wins (`MassSweep.of_volume(v)` for a target of volume v); or None, to double the mass
        from twice the seeds' volume for as long as cuts improve.
    labels : integer or bool array (num_nodes,), or callable, optional
        Unreliable labels. Edges between different labels count `epsilon` times their weight. A callable takes positions
        and returns labels, and is asked about touched nodes only. Negative labels are unknown.
    epsilon : float in [0, 1], default 0.05
        1 ignores the labels, 0 never crosses them; 0.01 to 0.1 is the range in which it hardly matters.
    seed : int
        Of the order of updates. It changes the result within the tolerance only.
    attributes : matrix (num_nodes, width), optional
        Edge (i, j) counts exp(-gamma |X_i - X_j|^2) times its weight; rows of touched nodes only are read, and are
        finite.
    gamma : float >= 0, default 0.02
    solver : FlowSolver, optional
        Norm, sinks, tolerance, passes.

    Returns
    -------
    LocalCluster
        `nodes` are those with a positive potential (`values`); `sweep_nodes` the best sweep cut of it.

    Raises
    ------
    InvalidInput, InvalidType
        Unknown, repeated or isolated seeds; a touched row of attributes with NaN; labels of the wrong length, or
        without any known label near the seeds; epsilon outside [0, 1]; a mass that the seeds can hold themselves or
        that the whole graph cannot; a directed graph; a touched edge of negative weight.

    Notes
    -----
    Time is proportional to the sum of degrees over updates (`visited_edges`), memory to `touched_edges`: neither
    depends on the size of the graph. The volume of the nodes with a potential is at most the mass. Deterministic.
    Masses of a sweep rise, and each starts from the solution of the one before, which is below its own.

    Conductance is measured in the reweighted graph. Where a cluster is so large that the volume of the rest decides,
    that is estimated from 4,096 sampled adjacency entries, since computing it would take every label.

    References
    ----------
    Fountoulakis, Wang and Yang, "p-Norm Flow Diffusion for Local Graph Clustering", ICML 2020, arXiv:2005.09810.
    Yang and Fountoulakis, "Weighted Flow Diffusion for Local Graph Clustering with Node Attributes", ICML 2023,
    arXiv:2301.13187. Back de Luca, Fountoulakis and Yang, "Local Graph Clustering with Noisy Labels", ICLR 2024,
    arXiv:2310.08031.

    Examples
    --------
    >>> import nearhop
    >>> store = nearhop.GraphStore.from_edges([0, 0, 1, 2, 3, 3, 4], [1, 2, 2, 3, 4, 5, 5])  # two triangles and a link
    >>> found = nearhop.ann.flow_diffusion(store, [0], 9)
    >>> sorted(found.sweep_nodes.tolist()), round(found.conductance, 3)
    ([0, 1, 2], 0.143)
    """
    check_store(store)
    solver = FlowSolver() if solver is None else solver
    graph = LocalGraph(store, labels=labels, epsilon=epsilon, attributes=attributes, gamma=gamma, edge_type=edge_type)
    flow = _Flow(graph, seeds, solver, seed)
    if isinstance(mass, MassSweep):
        found = min(flow.clusters(mass.masses), key=lambda c: c.conductance)
    elif mass is None:
        found = flow.best_of_doublings()
    else:
        shares = flow.shares(mass)
        flow.pour(shares)
        found = flow.cluster()
    check_labelled(graph, seeds)
    return found


def flow_diffusion_path(
    store: GraphStore,
    seeds: ArrayLike,
    *,
    masses: Iterable[float],
    labels: Labels = None,
    epsilon: float = 0.05,
    seed: int = 0,
    attributes: ArrayLike | None = None,
    gamma: float = 0.02,
    solver: FlowSolver | None = None,
    edge_type: EdgeType | None = None,
    warm_start: bool = True,
) -> list[LocalCluster]:
    """Clusters for rising source masses, such as to choose among them by a measure of one's own.

    As `flow_diffusion`, one cluster per mass that the graph can hold. Each is solved from the one before, or, without
    `warm_start`, from nothing as in the papers' experiments; that differs where `max_passes` ends a diffusion early.
    Rows are opened once, and counters add up.

    Examples
    --------
    >>> import nearhop
    >>> store = nearhop.GraphStore.from_edges([0, 0, 1, 2, 3, 3, 4], [1, 2, 2, 3, 4, 5, 5])
    >>> [len(c) for c in nearhop.ann.flow_diffusion_path(store, [0], masses=[3, 6, 9])]
    [1, 1, 3]
    """
    check_store(store)
    graph = LocalGraph(store, labels=labels, epsilon=epsilon, attributes=attributes, gamma=gamma, edge_type=edge_type)
    flow = _Flow(graph, seeds, FlowSolver() if solver is None else solver, seed)
    found = list(flow.clusters(masses, warm_start=warm_start))
    check_labelled(graph, seeds)
    return found


class _Flow:
    """Potentials and masses on the slots of a local graph; mass can be poured on in turns."""

    def __init__(self, graph: LocalGraph, seeds: ArrayLike, solver: FlowSolver, seed: int) -> None:
        from . import diffusion_cpu

        if not is_integer(seed) or seed < 0:
            raise InvalidInput(f"seed must be an integer >= 0; got {seed!r}")
        self._kernels = diffusion_cpu
        self._graph = graph
        self._solver = solver
        self._root = root_of(seed, Purpose.DIFFUSION)
        self._seeds = open_seeds(graph, seeds)
        self._active = np.empty(0, np.int64)
        self._later = np.empty(0, np.int64)
        self._queued = np.zeros(0, np.uint8)
        self.x = np.zeros(0)
        self.mass = np.zeros(0)
        self.poured = 0.0
        self._size = 0
        self._passes = 0
        self._pushes = 0
        self._visited = 0

    @property
    def _sink(self) -> NDArray[np.float64]:
        return self._graph.degree if self._solver.sink == "degree" else np.ones(self._graph.degree.shape[0])

    @property
    def _capacity(self) -> float:
        """What all nodes together can hold."""
        return self._graph.total_volume if self._solver.sink == "degree" else float(self._graph.num_nodes)

    def shares(self, mass: Any) -> NDArray[np.float64]:
        """Mass of every seed."""
        given: NDArray[Any] = unmasked("mass", mass)
        if given.dtype.kind not in "iuf":
            raise InvalidType(f"mass must be a number, one per seed, a MassSweep or None; got {mass!r}")
        count = self._seeds.shape[0]
        if given.shape not in ((), (count,)):
            raise InvalidInput(f"mass must be one number or one per seed ({count}); got shape {given.shape}")
        if not np.isfinite(given).all() or (given <= 0).any():
            raise InvalidInput(f"mass must be positive and finite; got {mass!r}")
        shares = self._by_degree(float(given)) if given.ndim == 0 else given.astype(np.float64)
        sink = self._sink[self._seeds]
        if (shares <= sink).all():
            raise InvalidInput(
                f"mass {float(shares.sum()):g} stays on the seeds, which can hold {float(sink.sum()):g}; give more, "
                "about 2 to 5 times the volume of the cluster you look for"
            )
        if shares.sum() >= self._capacity:
            raise InvalidInput(
                f"mass {float(shares.sum()):g} is not less than what the whole graph can hold, {self._capacity:g}; "
                "give about 2 to 5 times the volume of the cluster you look for"
            )
        return shares

    def _by_degree(self, mass: float) -> NDArray[np.float64]:
        degree = self._graph.degree[self._seeds]
        return mass * degree / degree.sum()

    def clusters(self, masses: Iterable[float], *, warm_start: bool = True) -> Iterator[LocalCluster]:
        """One cluster per total mass, rising; masses that the whole graph cannot hold are left out."""
        given = np.sort(np.array(list(masses), np.float64))
        if given.shape[0] == 0 or not np.isfinite(given).all() or given[0] <= 0:
            raise InvalidInput("masses must be positive, finite numbers, at least one")
        within = given[given < self._capacity]
        if within.shape[0] == 0:
            self.shares(given[0])  # says what is wrong
        for mass in within:
            if not warm_start:
                self._empty()
            self.pour(self._by_degree(mass - self.poured))
            yield self.cluster()

    def best_of_doublings(self) -> LocalCluster:
        """Double the mass while cuts improve, below what the graph can hold."""
        mass = 2 * float(self._sink[self._seeds].sum())
        best: LocalCluster | None = None
        falls = 0
        while falls < _FALLS and (best is None or mass < self._capacity):
            if best is None and mass >= self._capacity:
                mass = 0.5 * (mass / 2 + self._capacity)
            self.pour(self._by_degree(mass - self.poured))
            found = self.cluster()
            if best is None or found.conductance < best.conductance:
                best, falls = found, 0
            else:
                falls += 1
            mass *= 2
        return best  # type: ignore[return-value]

    def _empty(self) -> None:
        self.x[:] = 0
        self.mass[:] = 0
        self._queued[:] = 0
        self._size, self.poured = 0, 0.0

    def pour(self, shares: NDArray[np.float64]) -> None:
        """Add mass to the seeds and let it flow."""
        graph, solver, kernels = self._graph, self._solver, self._kernels
        self._fit()
        self.mass[self._seeds] += shares
        self.poured += float(shares.sum())
        sink = self._sink
        over = self._seeds[self.mass[self._seeds] > sink[self._seeds] + solver.tolerance]
        over = over[self._queued[over] == 0]
        self._active[self._size : self._size + over.shape[0]] = over
        self._size += over.shape[0]
        self._queued[over] = 1
        rule = 1.0 / (solver.p - 1.0), float(solver.tolerance)
        done, state = 0, kernels.MUST_OPEN
        while True:
            state, self._size, done, pushes, visited = kernels.relax(
                (self._active, self._later, self._queued),
                self._size,
                (self.x, self.mass, sink),
                graph.open_rows,
                rule,
                self._root,
                (done, solver.max_passes, self._passes),
                ENTRIES_AT_ONCE,
            )
            self._pushes += pushes
            self._visited += visited
            if state == kernels.PAUSED:  # for Ctrl-C
                continue
            if state != kernels.MUST_OPEN:
                break
            graph.open(self._active[: self._size])
            self._fit()
            sink = self._sink
        self._passes += done

    def _fit(self) -> None:
        self.x, self.mass = self._graph.fit(self.x), self._graph.fit(self.mass)
        self._active, self._later = self._graph.fit(self._active), self._graph.fit(self._later)
        self._queued = self._graph.fit(self._queued)

    def cluster(self) -> LocalCluster:
        count = self._graph.count
        excess = max(0.0, float((self.mass[:count] - self._sink[:count]).max()))
        return finish(
            self._graph,
            self.x,
            score="potential",
            mass=self.poured,
            excess=excess,
            converged=excess <= self._solver.tolerance,
            pushes=self._pushes,
            visited_edges=self._visited,
        )
