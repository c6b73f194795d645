"""Folds of labelled graphs: stratified ones, and those that published index files name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import unmasked
from ...graphlib.errors import InvalidInput, InvalidType, NotFound, StoreCorrupt
from ...graphlib.scalars import integer
from ...sampling.arguments import check_count

if TYPE_CHECKING:
    import os

    from numpy.typing import ArrayLike, NDArray

_LARGEST_FILE = 64 << 20


@dataclass(frozen=True, eq=False)
class Fold:
    """One fold.

    Attributes
    ----------
    train, test : int64 arrays
        Graphs to learn from and to test on, ascending, disjoint.
    """

    train: NDArray[np.int64]
    test: NDArray[np.int64]

    def __repr__(self) -> str:
        return f"Fold({len(self.train):,} to train, {len(self.test):,} to test)"


def stratified_folds(labels: ArrayLike, *, num_folds: int = 10, seed: int = 0) -> list[Fold]:
    """Folds that all have nearly the same share of each class.

    The folds are those of `sklearn.model_selection.StratifiedKFold(num_folds, shuffle=True, random_state=seed)`, which
    the common protocol uses with seed 0 (Xu et al., arXiv:1810.00826).

    Raises
    ------
    InvalidInput
        A class has fewer graphs than there are folds.

    Examples
    --------
    >>> [fold.test.tolist() for fold in stratified_folds([0, 0, 1, 1], num_folds=2)]
    [[1, 2], [0, 3]]
    """
    given: NDArray[Any] = unmasked("labels", labels)
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise InvalidType(f"labels must be integers, one per graph; got {given.dtype} of shape {given.shape}")
    count = check_count("num_folds", num_folds, 2)
    names, classes = np.unique(given, return_inverse=True)
    # Numbered by where a class is first met, so that renamed classes give the same folds.
    _, first = np.unique(classes, return_index=True)
    classes = np.argsort(np.argsort(first))[classes]
    sizes = np.bincount(classes, minlength=1)
    if given.size == 0 or sizes.min() < count:
        rarest = names[np.argsort(first)][int(np.argmin(sizes))] if given.size else "(none)"
        raise InvalidInput(f"class {rarest} has {sizes.min()} graphs, fewer than the {count} folds")
    ordered = np.sort(classes)
    dealt = np.stack([np.bincount(ordered[fold::count], minlength=len(sizes)) for fold in range(count)])
    draws = np.random.RandomState(integer("seed", seed, 0, 2**32 - 1))
    fold_of = np.empty(len(given), np.int64)
    for k in range(len(sizes)):
        folds = np.repeat(np.arange(count), dealt[:, k])
        draws.shuffle(folds)
        fold_of[classes == k] = folds
    return [Fold(np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)) for fold in range(count)]


def read_folds(folder: str | os.PathLike[str], num_graphs: int) -> list[Fold]:
    """Folds from files `train_idx-1.txt`, `test_idx-1.txt`, `train_idx-2.txt`, ... that list graphs from 0.

    That is how IGN, PPGN and GIN publish theirs (folder `10fold_idx`).

    Raises
    ------
    NotFound
        The folder has no first pair of files, or half a pair.
    StoreCorrupt
        A file lists what is no graph, a graph twice, or a graph both to train and to test.
    """
    where = Path(folder)
    folds: list[Fold] = []
    while (where / f"test_idx-{len(folds) + 1}.txt").exists() or not folds:
        parts = []
        for role in ("train", "test"):
            path = where / f"{role}_idx-{len(folds) + 1}.txt"
            if not path.is_file():
                raise NotFound(f"{path} is missing; folds need a train and a test file each, numbered from 1")
            if path.stat().st_size > _LARGEST_FILE:
                raise StoreCorrupt(f"{path} is larger than {_LARGEST_FILE >> 20} MiB: no list of graphs")
            words = path.read_bytes().split()
            if not all(word.isdigit() and len(word) < 12 for word in words):
                raise StoreCorrupt(f"{path} holds something other than numbers of graphs")
            ids = np.unique(np.array(words, np.int64)) if words else np.empty(0, np.int64)
            if len(ids) != len(words) or len(ids) == 0 or ids[-1] >= num_graphs:
                raise StoreCorrupt(f"{path} must list different graphs, 0..{num_graphs - 1}, and at least one")
            parts.append(ids)
        if np.isin(parts[0], parts[1]).any():
            raise StoreCorrupt(f"{where}: fold {len(folds) + 1} has graphs both to train and to test")
        folds.append(Fold(parts[0], parts[1]))
    return folds
