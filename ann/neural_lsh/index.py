"""Neural LSH: lists learned from the k-NN graph of the rows, chosen by a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.streams import Purpose, generator
from ...graphlib.errors import InvalidInput, NotFitted
from ...graphlib.scalars import is_finite, is_integer
from ..index import Progress, VectorIndex
from ..ivf.lists import Lists
from ..ivf.probing import Asked, nearest_in_lists
from ..metrics import COSINE, NAMES, check_count, check_vectors, metric_code, query_scales, unit_rows
from ..result import SearchResult
from ..storage.rows import Rows, rows_of
from . import stored
from .chooser import Chooser, Stop
from .network import Training
from .partition import METHODS

if TYPE_CHECKING:
    from typing import Literal

    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore
    from ..ids import RowIds
    from ..words import Metric

STORAGES = "int8", "float32"
_SAMPLE_PER_LIST, _LEAST_SAMPLE = 256, 65_536
_BATCH, _RATE, _DECAY, _DROPOUT = 512, 2e-3, 1e-4, 0.1


class NeuralLSH(VectorIndex):
    """Vectors in balanced lists that a network chooses: a search scans the `nprobe` likeliest ones.

    Parameters
    ----------
    metric : {"l2", "ip", "cosine"}, default "l2"
    nlist : int >= 2 or (int, int), default 256
        Number of lists. A pair makes a hierarchy: a network of the first number of parts, and in each a network of the
        second; cheaper to train and to ask for many lists.
    nprobe : int >= 1, default 8
        Lists scanned per query, unless a search says otherwise. nlist or more: all rows, which is exact with storage
        "float32".
    storage : {"int8", "float32"}, default "int8"
        "int8" scans 8-bit codes beside the float32 vectors, and orders the max(4k, 40) rows that codes rank first by
        float32 distances; "float32" scans the vectors.
    hidden, depth : int, default 512, 2
        Width and number of hidden layers; depth 0 is multinomial logistic regression.
    neighbors : int in [1, 255], default 16
        Neighbours whose parts are a row's label: about as many as searches ask for, or twice that.
    rounds, epochs : int >= 1, default 6, 4
        Rounds of training and passes over the rows in each; after a round rows move to the lists where queries near
        them look.
    imbalance : float >= 0, default 0.15
        Lists of the learned rows are about (1 - imbalance) to (1 + imbalance) times rows / nlist long. Rows that are
        added later go to their likeliest list.
    partitioner : {"multilevel", "kahip"}, default "multilevel"
        What cuts the graph (see `balanced_partition`).
    seed : int, default 0
        Of the graph, its partition and the network.
    threads : int, optional
        All cores by default. Training uses one for the network: equal seeds give equal bits, whatever this is.

    Notes
    -----
    `fit` builds the k-NN graph with `HNSW`, cuts it into balanced parts, and trains a network to predict the histogram
    of the parts of a row's neighbours, for at most max(65,536, 256 * nlist) rows: minutes on a processor. PyTorch is
    needed for that alone (`pip install "nearhop[torch]"`): saved indexes open, search and take rows without it. A
    search costs O(depth * hidden**2 + hidden * nlist + rows * nprobe / nlist * dim). Memory: 5 * dim + 33 bytes per
    row with codes. While fitting: 12 * nlist + 8 * max(neighbors, 32) bytes per learned row.

    Differences from the paper: rows are moved between lists during training, to where the sum over queries that have
    them among their 32 nearest of log(0.01 + probability) is largest; points between neighbours are trained on; the
    cut is our own unless `partitioner` says otherwise; `min_share` and `coverage` let the number of lists follow the
    query.

    References
    ----------
    Y. Dong, P. Indyk, I. Razenshteyn and T. Wagner, "Learning space partitions for nearest neighbor search", ICLR
    2020, arXiv:1901.08544. The moves between rounds are near to: G. Gupta et al., "BLISS: a billion scale index using
    iterative re-partitioning", KDD 2022, doi:10.1145/3534678.3539414.

    Examples
    --------
    >>> import numpy as np
    >>> from nearhop.ann import NeuralLSH
    >>> rows = np.random.default_rng(0).normal(size=(600, 8)).astype(np.float32)
    >>> index = NeuralLSH(nlist=8, nprobe=4, hidden=32, rounds=1, epochs=2).add(rows)
    >>> index.search(rows[5], k=1).ids.tolist()
    [[5]]
    """

    KIND = "neural"
    KNOB = "nprobe"
    COLUMNS = VectorIndex.COLUMNS | {"list", "scale", "code"}
    FROZEN = "metric", "nlist", "storage"

    def __init__(
        self,
        metric: Metric = "l2",
        *,
        nlist: int | tuple[int, int] = 256,
        nprobe: int = 8,
        storage: Literal["int8", "float32"] = "int8",
        hidden: int = 512,
        depth: int = 2,
        neighbors: int = 16,
        rounds: int = 6,
        epochs: int = 4,
        imbalance: float = 0.15,
        partitioner: str = "multilevel",
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        super().__init__()
        self.metric = metric
        self.nlist = nlist
        self.nprobe = nprobe
        self.storage = storage
        self.hidden, self.depth = hidden, depth
        self.neighbors = neighbors
        self.rounds, self.epochs = rounds, epochs
        self.imbalance = imbalance
        self.partitioner = partitioner
        self.seed = seed
        self.threads = threads
        self._chooser: Chooser | None = None
        self._kept: Rows | None = None
        self._lists = np.empty(0, np.int64)  # the list of every row
        self._members = Lists(self._lists, 0)

    @property
    def dim(self) -> int | None:
        """Width of the vectors, or None before `fit` or `add`."""
        return None if self._chooser is None else self._chooser.dim

    @property
    def num_lists(self) -> int:
        """How many lists there are: nlist, or the product of its pair."""
        return int(np.prod(self._counts()))

    @property
    def list_sizes(self) -> NDArray[np.int64]:
        """Rows in every list, deleted ones included."""
        return self._members.sizes.copy()

    def probabilities(self, queries: ArrayLike) -> NDArray[np.float32]:
        """The network's probability of every list, float32 (queries, num_lists)."""
        self._check_parameters()
        return self._learned().probabilities(self._asked(check_vectors("probabilities", queries, dim=self.dim)))

    def fit(self, vectors: ArrayLike, *, progress: Progress | None = None) -> NeuralLSH:
        """Learn the lists; before any rows are added. `progress` is called with (done, total) after every epoch.

        Raises
        ------
        InvalidInput
            Fewer vectors than four per list, or rows that are there already.
        MissingExtra
            PyTorch, or `kahip` where it was asked for, is not installed.
        """
        with self._lock.writing():
            self._fit(vectors, progress)
        return self

    def _fit(self, vectors: ArrayLike, progress: Progress | None) -> NDArray[np.int64] | None:
        """Learn; the lists of the rows where all of them were learned from."""
        from .learning import learn

        metric = self._check_ranges()
        if len(self._rows):
            raise InvalidInput("fit: the index holds rows already; make a new index to learn other lists")
        rows, lists = check_vectors("fit", vectors, dim=None), self.num_lists
        if len(rows) < 4 * lists:
            raise InvalidInput(
                f"fit: {len(rows)} vectors are too few for {lists} lists; give {4 * lists}, or fewer lists"
            )
        most = max(_LEAST_SAMPLE, _SAMPLE_PER_LIST * lists)
        some: Any = slice(None)
        if len(rows) > most:
            some = np.sort(generator(self.seed, Purpose.LEARNED_LISTS, "rows").choice(len(rows), most, replace=False))
        sample = unit_rows(rows[some]) if metric == COSINE else np.array(rows[some])
        how = Training(
            self.hidden, self.depth, self.epochs, self.rounds, _BATCH, _RATE, _DECAY, _DROPOUT, self.seed
        )  # fmt: skip
        chooser, found = learn(
            sample, NAMES[metric], self._counts(), how, neighbors=self.neighbors,
            imbalance=self.imbalance, method=self.partitioner, threads=self.threads, progress=progress,
        )  # fmt: skip
        with self._lock.changing():
            self._thaw()
            self._chooser, self._members = chooser, Lists(np.empty(0, np.int64), lists)
        return found if len(sample) == len(rows) else None

    def _insert(self, rows: NDArray[Any], ids: NDArray[Any], progress: Progress | None) -> None:
        if not len(rows):
            return
        which = None
        if self._chooser is None:
            which = self._fit(rows, progress)
        if which is None:
            which = self._learned().likeliest(self._asked(rows), self.threads)
        kept = rows_of(self.storage, metric_code(self.metric), rows.shape[1]) if self._kept is None else self._kept
        kept.check(rows)
        with self._lock.changing():
            before = len(self._lists)
            kept.append(before, rows)
            self._kept = kept
            self._lists = np.concatenate([self._lists, which])
            self._members.append(self._lists, before)
            self._rows.append(ids)
        if progress is not None:
            progress(len(rows), len(rows))

    def search(
        self,
        queries: ArrayLike,
        k: int,
        *,
        nprobe: int | None = None,
        coverage: float | None = None,
        min_share: float | None = None,
        filter: ArrayLike | None = None,
        threads: int | None = None,
    ) -> SearchResult:
        """The k nearest rows in the likeliest lists of every query.

        Parameters
        ----------
        queries : float32 (num_queries, dim) or (dim,)
        k : int >= 1
            Places without a result hold id -1 and distance inf; `counts` says how many are filled.
        nprobe : int >= 1, optional
            The index's own by default, or every list with `coverage` or `min_share`. Doubled for queries whose lists
            hold fewer than k rows that pass.
        coverage : float in (0, 1], optional
            Scan the likeliest lists until their probabilities add up to this, at most `nprobe` of them: more lists for
            queries that the network is less certain of.
        min_share : float in (0, 1], optional
            Scan the lists that the network expects to hold at least this share of the neighbours, a list of half the
            mean size half as much; the likeliest in any case. At the same mean number of rows it finds more than
            `coverage`: no list is read for little. With 256 lists 0.02 found nine tenths, with 16 lists 0.1.
        filter : bool (rows,), bool (num_queries, rows) or integer ids, optional
        threads : int, optional

        Raises
        ------
        IndexMismatch
            Queries of another width, or a bitmap of another length.
        InvalidInput
            NaN or infinite values, k < 1, nprobe < 1, coverage or min_share out of range.
        """
        return self._search(queries, k, filter, threads, nprobe=nprobe, coverage=coverage, min_share=min_share)

    def candidate_counts(
        self, queries: ArrayLike, *, nprobe: int | None = None, coverage: float | None = None,
        min_share: float | None = None,
    ) -> NDArray[np.int64]:  # fmt: skip
        """Rows in the lists that a search with these options would scan for every query."""
        self._check_parameters()
        rows = self._asked(check_vectors("candidate_counts", queries, dim=self.dim))
        sizes, stop = self._members.sizes, Stop.of(coverage, min_share)
        chosen = self._learned().ranked(rows, self._probes(nprobe, stop), stop, sizes, self.threads)
        return np.where(chosen >= 0, sizes[chosen], 0).sum(axis=1)

    def _nearest(
        self, queries: NDArray[Any], k: int, allowed: NDArray[np.bool_] | None, threads: int | None,
        nprobe: int | None = None, coverage: float | None = None, min_share: float | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int32]]:  # fmt: skip
        kept, chooser, metric = self._filled("search"), self._learned(), metric_code(self.metric)
        factors, stop = query_scales(queries, metric), Stop.of(coverage, min_share)
        first, asked, rule = self._probes(nprobe, stop), self._asked(queries), stop
        exact, room = kept.exact, kept.walk_room(len(queries))
        if room is not None:
            kept.ask_walk(queries, factors, 0, len(queries), room)

        def choose(some: NDArray[np.int64], count: int) -> NDArray[np.int64]:
            nonlocal rule
            chosen, rule = chooser.ranked(asked[some], count, rule, self._members.sizes, threads), Stop()  # once
            return chosen

        return nearest_in_lists(
            exact, exact if room is None else kept.walk, self._members,
            Asked(queries, factors, queries if room is None else room), k,
            choose,
            first, len(self._lists), allowed, threads, again=stop != Stop(),
        )  # fmt: skip

    def _probes(self, nprobe: int | None, stop: Stop) -> int:
        if nprobe is None and stop != Stop():
            return self.num_lists
        return min(self.num_lists, check_count("nprobe", self.nprobe if nprobe is None else nprobe))

    def _asked(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows as the network takes them."""
        return unit_rows(rows) if self.metric == "cosine" else rows

    def vectors(self) -> NDArray[Any]:
        """The rows that are not deleted, in their order, as they are kept; `NotFitted` before the first `add`."""
        rows: NDArray[Any] = self._filled("vectors").kept[: len(self._lists)]
        return rows if not self._rows.num_dead else rows[self._rows.live]

    @property
    def nbytes(self) -> int:
        kept = 0 if self._kept is None else self._kept.nbytes
        return kept + self._lists.nbytes + self._members.nbytes + (0 if self._chooser is None else self._chooser.nbytes)

    def _compacted(self, live: NDArray[np.int64]) -> dict[str, Any]:
        lists = self._lists[live]
        return {
            "_kept": self._filled("compact").chosen(live), "_lists": lists, "_members": Lists(lists, self.num_lists)
        }  # fmt: skip

    def _stored(self) -> GraphStore:
        fields = {name: getattr(self, name) for name in stored.FIELDS}
        return stored.to_store(
            self._filled("save"), self._lists, self._rows, self._learned(), {"kind": self.KIND} | fields
        )

    @classmethod
    def _opened(cls, store: GraphStore) -> NeuralLSH:
        options, parts = stored.from_store(store, cls)
        return cls(**options)._of(*parts)

    def _of(self, chooser: Chooser, kept: Rows, lists: NDArray[np.int64], ids: RowIds) -> NeuralLSH:
        self._chooser, self._kept, self._lists, self._rows = chooser, kept, lists, ids
        self._members = Lists(lists, self.num_lists)
        return self

    def _filled(self, what: str) -> Rows:
        if self._kept is None:
            raise NotFitted(f"{what}: the index is empty; add vectors first")
        return self._kept

    def _learned(self) -> Chooser:
        if self._chooser is None:
            raise NotFitted("the index has no network; call fit(vectors) or add(vectors) first")
        return self._chooser

    def _counts(self) -> tuple[int, ...]:
        return (int(self.nlist),) if is_integer(self.nlist) else tuple(self.nlist)  # type: ignore[arg-type]

    def _holds_rows(self) -> bool:
        return self.__dict__.get("_chooser") is not None

    def _check_parameters(self) -> int:
        self._check_frozen()
        return self._check_ranges()

    def _check_ranges(self) -> int:
        pair = isinstance(self.nlist, tuple | list) and len(self.nlist) == 2
        if not pair and not is_integer(self.nlist):
            raise InvalidInput(f"nlist must be an integer >= 2 or a pair of them; got {self.nlist!r}")
        for count in self.nlist if pair else [self.nlist]:  # type: ignore[union-attr]
            check_count("nlist", count, low=2)
        for name, low, high in (
            ("nprobe", 1, None), ("seed", 0, None), ("hidden", 1, 1 << 14), ("depth", 0, 16), ("neighbors", 1, 255),
            ("rounds", 1, None), ("epochs", 1, None),
        ):  # fmt: skip
            check_count(name, getattr(self, name), low=low, high=high)
        if self.storage not in STORAGES:
            raise InvalidInput(f"storage must be one of {', '.join(map(repr, STORAGES))}; got {self.storage!r}")
        if self.partitioner not in METHODS:
            raise InvalidInput(f"partitioner must be one of {', '.join(map(repr, METHODS))}; got {self.partitioner!r}")
        if not (is_finite(self.imbalance) and self.imbalance >= 0):
            raise InvalidInput(f"imbalance must be a number >= 0; got {self.imbalance!r}")
        return metric_code(self.metric)

    def __repr__(self) -> str:
        dead = f", {self._rows.num_dead:,} deleted" if self._rows.num_dead else ""
        return (
            f"NeuralLSH({self.metric!r}, nlist={self.nlist}, nprobe={self.nprobe}, {len(self):,} vectors{dead}, "
            f"dim={self.dim}, {self.storage}, {self.nbytes:,} bytes)"
        )


__all__ = ["NeuralLSH"]
