"""Lists learned from rows: their k-NN graph, a balanced partition of it, and a network that tells the parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..hnsw.index import HNSW
from .chooser import Chooser
from .network import Training, train
from .partition import Graph, balanced_partition

if TYPE_CHECKING:
    from numpy.typing import NDArray


_LINKS = 10  # neighbours in the graph that is cut, and whose searches a row is placed for
_PRICE_ROUNDS = 200
_PRICE_STEP = 0.05


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

    near = _neighbors(rows, metric, neighbors, how.seed, threads)
    root, parts = _learned(rows, near, counts[0], how, imbalance, method, step)
    if len(counts) == 1:
        return Chooser(root, []), parts
    leaves, lists = [], np.empty(len(rows), np.int64)
    for part in range(counts[0]):
        mine = np.flatnonzero(parts == part)
        place = np.full(len(rows) + 1, -1, np.int64)  # the last one for neighbours that are not there
        place[mine] = np.arange(len(mine))
        leaf, leaf_parts = _learned(rows[mine], place[near[mine]], counts[1], how, imbalance, method, step)
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


def _learned(
    rows: NDArray[np.float32], near: NDArray[np.int64], count: int, how: Training, imbalance: float, method: str,
    step: Callable[[], None],
) -> tuple[Any, NDArray[np.int64]]:  # fmt: skip
    links = near[:, : 1 + _LINKS]
    parts = balanced_partition(
        Graph.of_neighbors(links[:, 1:]), count, imbalance=imbalance, seed=how.seed, method=method
    )
    most = int(np.ceil((1 + imbalance) * len(rows) / count))
    return train(rows, near, parts, count, how, lambda chances: placed(chances, links, most), step)


def placed(chances: NDArray[np.float32], links: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """The part of every row: the one that queries near it are likeliest to look into, at most about `most` rows each.

    Row p belongs where the sum over rows q that have p among their links of the probability of q's parts is largest,
    less a price of the part, which rises until parts fit.
    """
    import scipy.sparse as sp

    n, count = chances.shape
    asking = np.repeat(np.arange(n), links.shape[1])
    real = links.ravel() >= 0
    asked = sp.csr_array((np.ones(int(real.sum()), np.float32), (links.ravel()[real], asking[real])), shape=(n, n))
    worth = np.asarray(asked @ chances)
    price = np.zeros(count, np.float32)
    unit = _PRICE_STEP * float(worth.max(axis=1).mean())
    parts: NDArray[np.int64] = worth.argmax(axis=1)
    for _ in range(_PRICE_ROUNDS):
        sizes = np.bincount(parts, minlength=count)
        if sizes.max() <= most:
            break
        price += (unit * np.clip(sizes / most - 1, 0, 1)).astype(np.float32)
        parts = (worth - price).argmax(axis=1)
    return parts


__all__ = ["learn", "placed"]
