"""Lists learned from rows: their k-NN graph, a balanced partition of it, and a network that tells the parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..hnsw.index import HNSW
from .chooser import Chooser
from .network import Training, train
from .partition import Graph, balanced_partition

if TYPE_CHECKING:
    from numpy.typing import NDArray


_LINKS = 10  # neighbours in the graph that is cut
_ASKING = 32  # neighbours of a query for which it asks where rows are placed
_FLOOR = 0.01  # probabilities far below this count alike where rows are placed: such a list is not looked into
_PRICE_ROUNDS = 200
_PRICE_STEP, _PRICE_DECAY = 0.05, 0.99


def learn(
    rows: NDArray[np.float32],
    metric: str,
    counts: tuple[int, ...],
    how: Training,
    *,
    neighbors: int,
    imbalance: float,
    method: str,
    threads: int | None,
    progress: Callable[[int, int], None] | None,
) -> tuple[Chooser, NDArray[np.int64]]:
    """A chooser of `counts` lists (of lists), and the list of every row."""
    epochs = how.rounds * how.epochs
    done, total = 0, epochs * (1 if len(counts) == 1 else 1 + counts[0])

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    near = _neighbors(rows, metric, min(max(neighbors, _ASKING) + 1, len(rows)), how.seed, threads)
    cut = _Cut(neighbors, imbalance, method)
    root, parts = _learned(rows, near, counts[0], how, cut, step)
    if len(counts) == 1:
        return Chooser(root, []), parts
    leaves, lists = [], np.empty(len(rows), np.int64)
    for part in range(counts[0]):
        mine = np.flatnonzero(parts == part)
        place = np.full(len(rows) + 1, -1, np.int64)  # the last one for neighbours that are not there
        place[mine] = np.arange(len(mine))
        leaf, leaf_parts = _learned(rows[mine], place[near[mine]], counts[1], how, cut, step)
        leaves.append(leaf)
        lists[mine] = part * counts[1] + leaf_parts
    return Chooser(root, leaves), lists


def _neighbors(rows: NDArray[np.float32], metric: str, count: int, seed: int, threads: int | None) -> NDArray[np.int64]:
    """Every row and its nearest others, -1 for none; the row itself first."""
    index = HNSW(
        metric,  # type: ignore[arg-type]
        storage="int8",
        ef_construction=100,
        seed=seed,
        threads=threads,
    ).add(rows)
    found = index.search(rows, count, ef_search=max(80, 2 * count)).ids
    own = np.arange(len(rows))[:, None]
    others = np.where(found == own, -1, found)
    order = np.argsort(others < 0, axis=1, kind="stable")
    return np.concatenate([own, np.take_along_axis(others, order, axis=1)], axis=1)


class _Cut(NamedTuple):
    """How many neighbours label a row, and how parts are made (see `NeuralLSH`)."""

    neighbors: int
    imbalance: float
    method: str


def _learned(
    rows: NDArray[np.float32], near: NDArray[np.int64], count: int, how: Training, cut: _Cut, step: Callable[[], None]
) -> tuple[Any, NDArray[np.int64]]:
    graph = Graph.of_neighbors(near[:, 1 : 1 + _LINKS])
    parts = balanced_partition(graph, count, imbalance=cut.imbalance, seed=how.seed, method=cut.method)
    sizes = _allowed(len(rows), count, cut.imbalance)
    labels, asking = near[:, : 1 + cut.neighbors], near[:, : 1 + _ASKING]
    return train(rows, labels, parts, count, how, lambda chances: placed(chances, asking, sizes), step)


def _allowed(rows: int, count: int, imbalance: float) -> tuple[int, int]:
    """The least and the most rows of a part."""
    return int((1 - min(imbalance, 1)) * rows / count), int(np.ceil((1 + imbalance) * rows / count))


def placed(chances: NDArray[np.float32], links: NDArray[np.int64], sizes: tuple[int, int]) -> NDArray[np.int64]:
    """The part of every row: the one that queries near it are likeliest to look into, of about `sizes` rows.

    Row p belongs where the sum over rows q that have p among their links of log(floor + probability of q's parts) is
    largest: not where some look first and others never, but where all of them look early. Parts above the larger size
    become dearer, and those below the smaller one cheaper, until all fit.
    """
    import scipy.sparse as sp

    n, count = chances.shape
    least, most = sizes
    asking = np.repeat(np.arange(n), links.shape[1])
    real = links.ravel() >= 0
    asked = sp.csr_array((np.ones(int(real.sum()), np.float32), (links.ravel()[real], asking[real])), shape=(n, n))
    early = chances / np.float32(_FLOOR)
    np.log1p(early, out=early)
    worth = np.asarray(asked @ early)
    price = np.zeros(count, np.float32)
    unit = np.float32(_PRICE_STEP * float(worth.max(axis=1).mean()))
    parts: NDArray[np.int64] = worth.argmax(axis=1)
    for _ in range(_PRICE_ROUNDS):
        held = np.bincount(parts, minlength=count)
        if held.max() <= most and held.min() >= least:
            break
        excess = np.clip(held / most - 1, 0, 1) - np.clip(1 - held / max(least, 1), 0, 1)
        price += unit * excess.astype(np.float32)
        unit *= np.float32(_PRICE_DECAY)  # rows that are alike move together, back and forth
        parts = (worth - price).argmax(axis=1)
    return parts


__all__ = ["learn", "placed"]
