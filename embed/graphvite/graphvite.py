"""GraphVite: DeepWalk, LINE and node2vec by parallel online augmentation and a grid of orthogonal blocks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

import numpy as np

from ...graphlib.errors import InvalidInput, NotFitted
from ...graphlib.given_store import check_store
from ..arguments import check_walker, choice, number, positive, whole
from ..model import Model
from .grid import MAX_PARTS, Grid
from .tables import NUM_MOMENTS, Tables

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...graphlib.store.store import GraphStore
    from ...graphlib.types import EdgeType
    from ..progress import Reporter

_OWNER = "GraphVite"


class GraphVite(Model):
    """Node embeddings as GraphVite trains them (Zhu, Xu, Qu and Tang, WWW 2019, arXiv:1903.00757).

    Walks start at edges; pairs (v, c) at most s steps apart are the samples. With K negatives n of degree^0.75, each of
    weight w, the loss of a sample is -log s(v . c) - w sum log s(-v . n), s the logistic function.

    Parameters
    ----------
    model : "line", "deepwalk" or "node2vec", default "line"
        "line" spreads the pairs of a walk over the pool, the others leave them together; "node2vec" walks by p and q.
    dim : int, default 128
        Width of the vectors, 1..1024; computed in whole vectors of 16 columns.
    epochs : int, optional
        Samples trained / edges of the store. Default: 12,000 samples per node.
    augmentation_step : int, optional
        Largest distance of a pair within a walk (s). Default floor(log 1600 / log(mean edges per node)), 1..5.
    walk_length : int, default 40
        Edges per walk. With "line" and s = 1 a walk is one edge.
    p, q : float > 0, default 1
        node2vec's return and in-out parameters; 1 unless the model is "node2vec".
    num_negatives : int, default 1
        K, 0..64.
    negative_weight : float, default 5
        w; one negative of weight 5 stands for five.
    exponent : float, default 0.75
        Negatives are drawn in proportion to (weighted) degree to this power.
    partitions : int or "auto", default "auto"
        Parts of the grid (P), 1..64. "auto" is 8 with `deterministic` (fewer on small graphs), else 1; on GPUs as many
        as their number and memory ask for.
    optimizer : "sgd", "momentum", "adagrad" or "adam", default "sgd"
    lr : float, optional
        Learning rate at the first sample; falls linearly to 1e-4 of it. Default 0.025, and 0.001 for Adam.
    weight_decay : float, default 0.005
        L2 penalty, applied whenever a row is touched.
    pool_size : int, optional
        Samples per pool. Default 64 per node, between 2**20 and 2**24.
    direction : "out" or "both", default "both"
        Whether walks on a directed graph follow edges against their direction too.
    use_weights : bool, default True
        Take edge weights, where there are any, as probabilities up to a factor.
    device : "cpu", "cuda" or "auto", default "cpu"
        "auto" is "cuda" where there is a CUDA device. On a GPU the result differs from the processor's in rounding and
        in the order of updates.
    deterministic : bool, default False
        The same seed gives the same bits at any number of threads (on the processor). Without it, and with one
        partition, threads train without locks.
    seed : int, default 0
    threads : int, optional
        Default all cores.
    checkpoint : path, optional
        An .npz file that is written every `checkpoint_every_s` seconds, at the end, and on Ctrl-C.
    checkpoint_every_s : float, default 600
    progress : callable, optional
        Called with a `TrainingProgress` after every pool.
    tensorboard : str, optional
        A folder for TensorBoard scalars (needs tensorboard).

    Attributes
    ----------
    vertex_, context_ : float32 (n, dim)
        The embedding, and the vectors of nodes as contexts: `vertex_[u] @ context_[v]` scores the link (u, v). A node
        without edges has zeros in both.

    Notes
    -----
    O(epochs * edges * (1 + K) * dim) time. Memory: two n x dim float32 tables (more with moments, see
    `estimate_bytes`) and two pools of 8 bytes per sample; while one pool is trained the next is filled.

    Differences from the paper and its program: a block of the grid gets the samples that walks put there instead of a
    fixed number, so none are dropped and blocks weigh what they hold; training ends within one walk of epochs * edges
    samples instead of finishing a pass; the pseudo-shuffle's base follows the model of this run (the program takes the
    model before); negatives of a part are drawn by the processor's counters, so that a run can be repeated and
    resumed; the logistic function is a table of 4,096 cells over [-8, 8]; node2vec uses rejection instead of tables per
    edge.

    Examples
    --------
    >>> import nearhop
    >>> store = nearhop.GraphStore.from_edges([0, 1, 2, 3], [1, 2, 0, 0], num_nodes=5)
    >>> model = GraphVite("line", 16, epochs=100, deterministic=True).fit(store)
    >>> model.vertex_.shape, model.context_.dtype.name, model.vertex_[4].any().item()
    ((5, 16), 'float32', False)
    """

    def __init__(
        self,
        model: Literal["line", "deepwalk", "node2vec"] = "line",
        dim: int = 128,
        *,
        epochs: int | None = None,
        augmentation_step: int | None = None,
        walk_length: int = 40,
        p: float = 1.0,
        q: float = 1.0,
        num_negatives: int = 1,
        negative_weight: float = 5.0,
        exponent: float = 0.75,
        partitions: int | str = "auto",
        optimizer: Literal["sgd", "momentum", "adagrad", "adam"] = "sgd",
        lr: float | None = None,
        weight_decay: float = 0.005,
        pool_size: int | None = None,
        direction: Literal["out", "both"] = "both",
        use_weights: bool = True,
        device: str = "cpu",
        deterministic: bool = False,
        seed: int = 0,
        threads: int | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every_s: float = 600.0,
        progress: Reporter | None = None,
        tensorboard: str | None = None,
    ) -> None:
        self.model = model
        self.dim = dim
        self.epochs = epochs
        self.augmentation_step = augmentation_step
        self.walk_length = walk_length
        self.p = p
        self.q = q
        self.num_negatives = num_negatives
        self.negative_weight = negative_weight
        self.exponent = exponent
        self.partitions = partitions
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.pool_size = pool_size
        self.direction = direction
        self.use_weights = use_weights
        self.device = device
        self.deterministic = deterministic
        self.seed = seed
        self.threads = threads
        self.checkpoint = checkpoint
        self.checkpoint_every_s = checkpoint_every_s
        self.progress = progress
        self.tensorboard = tensorboard
        self._fitted: tuple[Tables, Grid] | None = None

    def fit(self, store: GraphStore, *, edge_type: EdgeType | None = None) -> GraphVite:
        """Train from the start, on the edges of `edge_type` (as in `FastRP.fit_transform`).

        Raises
        ------
        InvalidInput, InvalidType
            A parameter out of its range, a graph without edges, negative weights.
        TrainingDiverged
            The loss is not finite.
        KeyboardInterrupt
            Within a second of Ctrl-C: `vertex_` is what was reached, and the checkpoint, if one was asked for, is
            written. A second Ctrl-C may leave the checkpoint that was there.
        """
        return self._run(store, None, edge_type)

    def fit_transform(self, store: GraphStore, *, edge_type: EdgeType | None = None) -> NDArray[np.float32]:
        """Train from the start and return `vertex_`, float32 (n, dim)."""
        return self.fit(store, edge_type=edge_type).vertex_

    def resume(
        self, store: GraphStore, path: str | os.PathLike[str] | None = None, *, edge_type: EdgeType | None = None
    ) -> GraphVite:
        """Go on from a checkpoint (default: `checkpoint`), as if the run had not been interrupted.

        Raises
        ------
        StoreMissing, StoreCorrupt
            There is no checkpoint, or it is damaged.
        IndexMismatch
            It was made of another graph or with other parameters.
        """
        check_store(store)
        source = self.checkpoint if path is None else path
        if source is None:
            raise InvalidInput(
                "resume needs the path of a checkpoint: resume(store, path) or GraphVite(checkpoint=...)"
            )
        return self._run(store, source, edge_type)

    def estimate_bytes(self, store: GraphStore, *, edge_type: EdgeType | None = None) -> dict[str, int]:
        """Bytes that training allocates, by component and in all; nothing is allocated here."""
        from .run import estimate_bytes

        self._check()
        return estimate_bytes(self, store, edge_type)

    @property
    def vertex_(self) -> NDArray[np.float32]:
        return self._in_node_order("vertex")

    @property
    def context_(self) -> NDArray[np.float32]:
        return self._in_node_order("context")

    def _in_node_order(self, which: str) -> NDArray[np.float32]:
        if self._fitted is None:
            raise NotFitted("GraphVite has no vectors yet; call fit first")
        tables, grid = self._fitted
        table: NDArray[np.float32] = getattr(tables, which)
        return table[grid.row_of, : self.dim]

    def _run(self, store: GraphStore, resumed: str | os.PathLike[str] | None, edge_type: EdgeType | None) -> GraphVite:
        from .run import run

        self._check()
        self._fitted = None
        run(self, store, resumed, edge_type)
        return self

    def _check(self) -> None:
        from ..skipgram.rows_cpu import MAX_DIM

        choice(_OWNER, "model", self.model, ("line", "deepwalk", "node2vec"))
        choice(_OWNER, "optimizer", self.optimizer, tuple(NUM_MOMENTS))
        choice(_OWNER, "device", self.device, ("cpu", "cuda", "auto"))
        check_walker(_OWNER, self, MAX_DIM)
        whole(_OWNER, "walk_length", self.walk_length, 1, 1 << 20)
        whole(_OWNER, "num_negatives", self.num_negatives, 0, 64)
        for name, high in (("epochs", 1 << 40), ("augmentation_step", 1 << 10), ("pool_size", 1 << 31)):
            if getattr(self, name) is not None:
                whole(_OWNER, name, getattr(self, name), 1, high)
        if self.augmentation_step is not None and self.augmentation_step > self.walk_length:
            raise InvalidInput(
                f"GraphVite: augmentation_step must be at most walk_length; got {self.augmentation_step} > "
                f"{self.walk_length}"
            )
        if self.partitions != "auto":
            whole(_OWNER, "partitions", self.partitions, 1, MAX_PARTS)
        positive(_OWNER, "checkpoint_every_s", self.checkpoint_every_s)
        if self.lr is not None:
            positive(_OWNER, "lr", self.lr)
        if self.model != "node2vec" and (self.p != 1 or self.q != 1):
            raise InvalidInput(
                f'GraphVite: p and q belong to model="node2vec"; got model={self.model!r}, p={self.p!r}, q={self.q!r}'
            )
        number(_OWNER, "negative_weight", self.negative_weight, 0.0, 1e6)
        number(_OWNER, "weight_decay", self.weight_decay, 0.0, 1e6)
