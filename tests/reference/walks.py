"""Exact transition probabilities of first- and second-order walks, from the definitions."""

from __future__ import annotations

import numpy as np


def dense(num_nodes, src, dst, weight=None, directed=True):
    """Adjacency matrix with parallel edges added up."""
    matrix = np.zeros((num_nodes, num_nodes))
    weight = np.ones(len(src)) if weight is None else weight
    for s, d, w in zip(src, dst, weight, strict=True):
        matrix[s, d] += w
        if not directed and s != d:
            matrix[d, s] += w
    return matrix


def node2vec_transition(matrix, previous, node, p, q):
    """Probabilities of the next node from `node` after `previous` (arXiv:1607.00653, section 3.2.2)."""
    bias = np.where(matrix[previous] > 0, 1.0, 1.0 / q)
    bias[previous] = 1.0 / p
    mass = matrix[node] * bias
    return mass / mass.sum()
