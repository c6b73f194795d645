"""What random numbers are for: a seed is never used as it is, but through the purpose that it serves.

Kernels name their streams (root, epoch, item, ...), see `random_cpu`. A root is made here, from the seed, a purpose of
the list below, and words that tell things of one purpose apart (an edge type, a direction). Two purposes share no
numbers whatever the seed, so a neighbour that was sampled says nothing about the first step of a walk or about a
negative of the same seed. Roots come from the words, not from their places in the list: new purposes change no draws.
"""

from __future__ import annotations

import hashlib
import json
import operator
from enum import Enum, unique
from typing import Any

import numpy as np

from ..errors import InvalidType
from ..scalars import integer


@unique
class Purpose(Enum):
    """Every purpose that a seed serves, one word each."""

    # samples
    NEIGHBORS = "neighbors"  # which entries of a row a neighbour sampler takes
    LABOR = "labor"  # the number of a neighbour that all rows share
    LAYERS = "layers"
    WALKS = "walks"
    METAPATHS = "metapaths"
    TEMPORAL_WALKS = "temporal walks"
    NODE_SETS = "node sets"  # which nodes one and two steps away stand for a node
    SAINT = "saint"  # nodes, edges or roots of a subgraph
    SAINT_WALKS = "saint walks"
    CLUSTERS = "clusters"  # which clusters come together
    NEGATIVES = "negatives"
    PAIRS = "pairs"  # negatives of which both ends are drawn
    IN_BATCH = "in batch"
    HISTORY = "history"  # past neighbours as negatives
    DESTINATIONS = "destinations"  # random destinations of events as negatives
    ORDER = "order"  # of the items of a loader
    NCACHE = "ncache"  # whether a write replaces what a slot holds
    SIGN_CODES = "sign codes"  # of the keys of an N-cache
    # training and its evaluation
    CORPUS = "corpus"  # walks that embeddings are trained on
    CORPUS_ORDER = "corpus order"
    INITIAL = "initial"  # vectors before training
    WINDOWS = "windows"  # spans and negatives of skip-gram
    POOL_STARTS = "pool starts"
    POOL_NEGATIVES = "pool negatives"
    SPLIT = "split"  # which edges are hidden
    TRAINING = "training"  # dropout and whatever else a step of training draws
    BATCHES = "batches"  # the order of what is trained on
    NODE_SPLIT = "node split"  # which nodes are trained on, validated and tested
    GENERATOR = "generator"  # pairs and codes that a feature generator is trained on
    GENERATED = "generated"  # codes that features are generated from
    UNSEEN = "unseen"  # which nodes are hidden
    CODEBOOK = "codebook"  # first centroids and assignments
    BLOCKER = "blocker"  # weights, order and rewritten records of an encoder of records
    SKETCHES = "sketches"  # what numbers stand for nodes in their neighbours' registers
    CONCENTRATION = "concentration"  # random vectors whose products stand for shared neighbours
    # indexes and clusters
    LEVELS = "levels"  # of an HNSW graph
    LEAVES = "leaves"  # leaders of the parts in which rows of an HNSW graph look for links
    GRIDS = "grids"  # rotations and shifts of random grids
    PROJECTION_SIGNS = "projection signs"  # of hashed character n-grams
    DIFFUSION = "diffusion"  # the order of the pushes of a pass
    LISTS = "lists"  # first centroids of an inverted file, and the rows they are fitted to
    LEARNED_LISTS = "learned lists"  # the partition that a network learns, and the network
    COHESIVENESS = "cohesiveness"  # from which nodes of a group walks set out
    DEMO = "demo"  # hidden pairs, query rows and drawn edges of the report


# Random functions, not samples: what they give is kept in files or compared with later values, so they go by numbers
# and by the seed itself, as they did in the first version. Streams are (seed, number, item, 0).
PROJECTED_NODE, PROJECTED_FEATURE = 1, 2
SLOT_HASH, MIXED_HASH, CIRCLE_SIGMA, CIRCLE_PI, SLOT_ORDERS, CIRCLE_WORDS = 1, 2, 3, 4, 5, 6


def root_of(seed: int, purpose: Purpose, *words: Any) -> int:
    """What the streams of `purpose` are named by, in [0, 2**63): equal for equal arguments, on any machine.

    Raises
    ------
    InvalidType
        A seed that is no integer.

    Examples
    --------
    >>> root_of(0, Purpose.WALKS) == root_of(0, Purpose.WALKS), root_of(0, Purpose.WALKS) == root_of(0, Purpose.PAIRS)
    (True, False)
    """
    try:
        whole = operator.index(seed)
    except TypeError:
        raise InvalidType(f"seed must be an integer; got {seed!r}") from None
    name = json.dumps([whole, purpose.value, *words]).encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little") >> 1


def generator(seed: int, purpose: Purpose, *words: Any) -> np.random.Generator:
    """NumPy's generator for `purpose`, where whole arrays are drawn at once."""
    return np.random.default_rng(root_of(seed, purpose, *words))


def seeded(seed: Any, *more: int) -> np.random.Generator:
    """NumPy's generator from the seed itself, for draws that published tables and saved models rest on.

    These are the splits that labels and links are judged by, the classifier of those tables, labels with noise, the
    layout of pictures, and the signs under dense vectors of n-grams. Anything else is drawn by `generator`.

    Raises
    ------
    InvalidInput
        A seed that is no integer, or below 0; None, which would draw otherwise each time, too.

    Examples
    --------
    >>> seeded(0).integers(9) == np.random.default_rng(0).integers(9)
    np.True_
    """
    whole = integer("seed", seed, 0)
    return np.random.default_rng([whole, *more] if more else whole)
