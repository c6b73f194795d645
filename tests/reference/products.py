"""Products of sparse matrices over semirings, by definition on dense arrays."""

from __future__ import annotations

import numpy as np

UNIT = {"plus_times": 0.0, "plus_pair": 0.0, "any_pair": 0.0, "max_times": -np.inf, "min_plus": np.inf}


def product(A, B, semiring):
    """(values, structure) of A B for lists of entries (rows, cols, values, shape); repeated entries count each."""
    (ar, ac, av, (n, _)), (br, bc, bv, (_, m)) = A, B
    values = np.full((n, m), UNIT[semiring])
    structure = np.zeros((n, m), bool)
    for i, k, a in zip(ar, ac, av, strict=True):
        for e in np.flatnonzero(br == k):
            j, b = bc[e], bv[e]
            structure[i, j] = True
            if semiring == "plus_times":
                values[i, j] += a * b
            elif semiring == "max_times":
                values[i, j] = max(values[i, j], a * b)
            elif semiring == "min_plus":
                values[i, j] = min(values[i, j], a + b)
            else:
                values[i, j] += 1
    return np.where(structure, values, 0), structure


def best_of_row(values, structure, k, threshold=None, smallest=False):
    """The structure that is left when every row keeps its k best entries of those that reach the threshold."""
    kept = np.zeros_like(structure)
    for i in range(values.shape[0]):
        columns = np.flatnonzero(structure[i])
        key = values[i, columns] if smallest else -values[i, columns]
        if threshold is not None:
            reaches = values[i, columns] <= threshold if smallest else values[i, columns] >= threshold
            columns, key = columns[reaches], key[reaches]
        order = np.lexsort((columns, key))
        kept[i, columns[order[:k]]] = True
    return kept
