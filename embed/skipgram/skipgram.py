"""SkipGram: DeepWalk and node2vec as their authors trained them, walks into a skip-gram model."""

from __future__ import annotations

from concurrent.futures import Future
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...graphlib.compute.streams import Purpose, generator, root_of
from ...graphlib.compute.threads import Workers, pieces
from ...graphlib.errors import InvalidInput, NotFitted
from ..arguments import check_walker, choice, flag, positive, whole
from ..model import Model
from ..progress import Meter
from .walk_source import WalkSource, initial_vertex

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...graphlib.store.store import GraphStore
    from ...graphlib.types import EdgeType
    from ..progress import Reporter

_CHUNK_STEPS = 1 << 18  # nodes of walks made at a time
_PIECES = 4  # parts of a chunk per thread


class SkipGram(Model):
    """Node embeddings by skip-gram with negative sampling over random walks (DeepWalk, node2vec).

    For a node w of a walk and a node c at most b steps away, b drawn uniformly from 1..window, with K negatives n drawn
    in proportion to degree^0.75, the loss is -log s(v_c . u_w) - sum log s(-v_c . u_n), s the logistic function.

    Parameters
    ----------
    dim : int, default 128
        Width of the vectors, 1..1024; computed in whole vectors of 16 columns.
    window : int, default 10
        Largest distance within a walk (w).
    negative : int, default 5
        Negatives per positive (K), 1..1000.
    num_walks : int, default 80
        Walks from every node that has neighbours.
    walk_length : int, default 40
        Nodes per walk, >= 2.
    p, q : float > 0, default 1
        node2vec's return and in-out parameters; 1 and 1 is DeepWalk.
    lr, min_lr : float, default 0.025 and 0.0001
        Learning rate at the first walk and at the last, linear between.
    exponent : float, default 0.75
        Negatives are drawn in proportion to (weighted) degree to this power; 0 is uniform.
    negatives : "window" or "pair", default "window"
        Whether the pairs of one centre share their negatives, which reads a third of the memory, or draw their own.
    shrink_windows : bool, default True
        Draw b per centre; False takes the whole window.
    direction : "out" or "both", default "both"
        Whether walks on a directed graph follow edges against their direction too.
    use_weights : bool, default True
        Choose edges in proportion to their weight, where there are weights.
    deterministic : bool, default False
        The same seed gives the same bits at any number of threads: one thread trains while the others walk. Otherwise
        threads train without locks and results differ in the last digits from run to run.
    seed : int, default 0
    threads : int, optional
        Default all cores.
    progress : callable, optional
        Called with a `TrainingProgress` after every chunk of walks; a sample is one node of a walk.
    tensorboard : str, optional
        A folder for TensorBoard scalars (needs tensorboard).

    Attributes
    ----------
    vertex_ : float32 (n, dim)
        The embedding. A node without edges has zeros.
    context_ : float32 (n, dim)
        The output vectors: `vertex_[u] @ context_[v]` scores the pair (u, v).

    Notes
    -----
    O(n * num_walks * walk_length * window * negative * dim) time. Memory: two n x dim float32 tables; walks are made
    while training goes on and never stored as a corpus.

    Differences from the papers: negatives may be shared within a window (as in pWord2Vec); DeepWalk's hierarchical
    softmax is replaced by negative sampling; negatives follow degree^0.75, the expectation of the corpus counts that
    word2vec uses; the logistic function is a table of 4,096 cells over [-8, 8]; node2vec's walks are drawn by
    rejection.

    References
    ----------
    B. Perozzi, R. Al-Rfou and S. Skiena, "DeepWalk", KDD 2014, arXiv:1403.6652.
    A. Grover and J. Leskovec, "node2vec", KDD 2016, arXiv:1607.00653.
    T. Mikolov et al., "Distributed representations of words and phrases", NIPS 2013, arXiv:1310.4546, equation 4.
    S. Ji et al., "Parallelizing word2vec in shared and distributed memory", arXiv:1604.04661 (shared negatives).

    Examples
    --------
    >>> import nearhop
    >>> store = nearhop.GraphStore.from_edges([0, 1, 2, 3], [1, 2, 0, 0], num_nodes=5)
    >>> embedding = SkipGram(16, num_walks=2, deterministic=True).fit_transform(store)
    >>> embedding.shape, embedding.dtype.name, embedding[4].any().item()
    ((5, 16), 'float32', False)
    """

    def __init__(
        self,
        dim: int = 128,
        *,
        window: int = 10,
        negative: int = 5,
        num_walks: int = 80,
        walk_length: int = 40,
        p: float = 1.0,
        q: float = 1.0,
        lr: float = 0.025,
        min_lr: float = 0.0001,
        exponent: float = 0.75,
        negatives: Literal["window", "pair"] = "window",
        shrink_windows: bool = True,
        direction: Literal["out", "both"] = "both",
        use_weights: bool = True,
        deterministic: bool = False,
        seed: int = 0,
        threads: int | None = None,
        progress: Reporter | None = None,
        tensorboard: str | None = None,
    ) -> None:
        self.dim = dim
        self.window = window
        self.negative = negative
        self.num_walks = num_walks
        self.walk_length = walk_length
        self.p = p
        self.q = q
        self.lr = lr
        self.min_lr = min_lr
        self.exponent = exponent
        self.negatives = negatives
        self.shrink_windows = shrink_windows
        self.direction = direction
        self.use_weights = use_weights
        self.deterministic = deterministic
        self.seed = seed
        self.threads = threads
        self.progress = progress
        self.tensorboard = tensorboard
        self._tables: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None

    def fit(self, store: GraphStore, *, edge_type: EdgeType | None = None) -> SkipGram:
        """Train on the walks of `store`, along the edges of `edge_type` (as in `FastRP.fit_transform`).

        Raises
        ------
        InvalidInput, InvalidType
            A parameter out of its range, a graph without edges, negative weights.
        TrainingDiverged
            The loss is not finite.
        """
        from ...graphlib.compute.jit import resolve_threads

        self._check()
        source = WalkSource.for_model("SkipGram", self, store, edge_type)
        self._tables = _train(self, source, resolve_threads(self.threads))
        return self

    def fit_transform(self, store: GraphStore, *, edge_type: EdgeType | None = None) -> NDArray[np.float32]:
        """Train and return `vertex_`, float32 (n, dim)."""
        return self.fit(store, edge_type=edge_type).vertex_

    @property
    def vertex_(self) -> NDArray[np.float32]:
        return self._table(0)

    @property
    def context_(self) -> NDArray[np.float32]:
        return self._table(1)

    def _table(self, which: int) -> NDArray[np.float32]:
        if self._tables is None:
            raise NotFitted("SkipGram has no vectors yet; call fit first")
        return self._tables[which][:, : self.dim]

    def _check(self) -> None:
        from .rows_cpu import MAX_DIM

        owner = "SkipGram"
        check_walker(owner, self, MAX_DIM)
        whole(owner, "window", self.window, 1, 10_000)
        whole(owner, "negative", self.negative, 1, 1000)
        whole(owner, "num_walks", self.num_walks, 1, 1 << 24)
        whole(owner, "walk_length", self.walk_length, 2, 1 << 20)
        for name in ("lr", "min_lr"):
            positive(owner, name, getattr(self, name))
        if self.min_lr > self.lr:
            raise InvalidInput(f"SkipGram: min_lr must be at most lr; got min_lr={self.min_lr!r}, lr={self.lr!r}")
        choice(owner, "negatives", self.negatives, ("window", "pair"))
        flag(owner, "shrink_windows", self.shrink_windows)


def _train(model: SkipGram, source: WalkSource, threads: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    from . import skipgram_cpu
    from .logistic_cpu import logistic_table
    from .rows_cpu import aligned_table, width_of

    vertex = initial_vertex(source, model.dim, model.seed)
    context = aligned_table(source.num_nodes, model.dim)
    bounds = np.array([0, source.num_nodes], np.int64)
    keep, alias = source.alias_of(source.frequency(model.exponent), bounds)
    table, width = logistic_table(), width_of(model.dim)
    nodes = np.flatnonzero(source.strength > 0.0)
    chunk = max(1, _CHUNK_STEPS // model.walk_length)
    jobs = [(turn, at) for turn in range(model.num_walks) for at in range(0, nodes.shape[0], chunk)]
    total_walks = model.num_walks * nodes.shape[0]
    workers = 1 if model.deterministic else threads
    scratch = [aligned_table(1, model.dim) for _ in range(_PIECES * threads)]
    root = root_of(model.seed, Purpose.WINDOWS)
    windows = skipgram_cpu.Windows(model.window, model.shrink_windows)
    negatives = skipgram_cpu.Negatives(model.negative, model.negatives == "window", keep, alias)
    orders: dict[int, NDArray[np.int64]] = {}

    def walk(job: tuple[int, int]) -> tuple[NDArray[Any], NDArray[np.float32]]:
        turn, at = job
        if turn not in orders:
            orders.clear()
            orders[turn] = generator(model.seed, Purpose.CORPUS_ORDER, turn).permutation(nodes)
        starts = orders[turn][at : at + chunk]
        done = turn * nodes.shape[0] + at + np.arange(starts.shape[0])
        rates = model.lr + (model.min_lr - model.lr) * (done / total_walks)
        walks = source.walks(starts, np.zeros(starts.shape[0], np.int32), turn, model.walk_length - 1)
        return walks, rates.astype(np.float32)

    def train(walks: NDArray[Any], rates: NDArray[np.float32], turn: int, piece: int) -> NDArray[np.float64]:
        sums = np.zeros(4)
        for a, b in pieces(walks.shape[0]):
            corpus = skipgram_cpu.Corpus(walks[a:b], rates[a:b], root, turn)
            skipgram_cpu.train_walks(width, vertex, context, corpus, windows, negatives, table, scratch[piece], sums)
        return sums

    meter = Meter("SkipGram", total_walks * model.walk_length, 0, model.progress, model.tensorboard)
    try:
        with Workers(1) as walker, Workers(workers) as trainers:
            upcoming: Future[Any] = walker.submit(walk, jobs[0])
            for number_, job in enumerate(jobs):
                walks, rates = upcoming.result()
                if number_ + 1 < len(jobs):
                    upcoming = walker.submit(walk, jobs[number_ + 1])
                tasks = min(_PIECES * workers, walks.shape[0]) if workers > 1 else 1
                cuts = np.linspace(0, walks.shape[0], tasks + 1).astype(int)
                running = [
                    trainers.submit(train, walks[a:b], rates[a:b], job[0], i) for i, (a, b) in enumerate(pairwise(cuts))
                ]
                sums = np.sum([done.result() for done in running], axis=0)
                meter.update(walks.size, float(sums[0] / max(sums[3], 1.0)))
    finally:
        meter.close()
    return vertex, context
