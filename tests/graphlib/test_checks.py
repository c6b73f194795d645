"""Arrays that are given: what lies below a mask is never read, and tensors and ragged lists have nearhop's errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nearhop import GraphStore, ann
from nearhop.communities import flow_diffusion, modularity, sweep_cut
from nearhop.communities.local.noisy_labels import AttributeClassifier
from nearhop.communities.pictures.picture import Picture
from nearhop.embed import FastRP
from nearhop.embed.evaluation.judge import strata
from nearhop.embed.evaluation.labels import evaluate
from nearhop.graphlib.checks import unmasked
from nearhop.graphlib.errors import InvalidInput, InvalidType, NearhopError, OutOfMemory
from nearhop.graphlib.sparse import spgemm, spmm
from nearhop.sampling import NCache, NeighborSampler, UnifiedTensor, cluster_batches, ego_bag, gather
from nearhop.sampling.features.placement import hottest

ROWS = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
RING = GraphStore.from_edges(np.arange(40), (np.arange(40) + 1) % 40)


def hidden(values):
    """An array whose second entry is masked."""
    array = np.asarray(values)
    mask = np.zeros(array.shape, bool)
    mask[1] = True
    return np.ma.masked_array(array, mask)


def read_back():
    cache = NCache(4, sizes=(1, 2), value_dim=2)
    read = cache.lookup(np.arange(4))
    cache.insert([0, 1], [1, 2], values=hidden(read.value), read=read)


MASKED = {
    "add": lambda: ann.Exact().add(hidden(ROWS)),
    "search": lambda: ann.Exact().add(ROWS).search(hidden(ROWS), 2),
    "hamming": lambda: ann.Exact("hamming").add(hidden(np.packbits(ROWS > 0, axis=1))),
    "colours": lambda: ann.CANN().add([ROWS, hidden(ROWS)]),
    "signatures": lambda: ann.LSH(ann.MinHash(4)).add(hidden(np.ones((3, 4), np.uint32))),
    "sets": lambda: ann.MinHash(4).fit_transform([hidden([1, 2, 3]), [4]]),
    "seeds": lambda: NeighborSampler(RING, [2]).sample(hidden([1, 2])),
    "labels": lambda: modularity(RING, hidden(np.zeros(40, int))),
    "mass": lambda: flow_diffusion(RING, [0, 1], hidden([1.0, 2.0])),
    "sweep": lambda: sweep_cut(RING, hidden([1, 2])),
    "embedding": lambda: evaluate(hidden(ROWS), np.arange(40) % 2),
    "positions": lambda: RING.lookup(hidden([1, 2])),
    "gather": lambda: gather(hidden(ROWS), [0]),
    "table": lambda: UnifiedTensor(hidden(ROWS)),
    "hottest": lambda: hottest(hidden(np.ones(40)), 40, 2),
    "clusters": lambda: list(cluster_batches(RING, hidden(np.zeros(40, int)))),
    "values of a bag": lambda: ego_bag(RING).extract(hidden(ROWS), order=1),
    "values of a read": read_back,
    "spmm": lambda: spmm(RING.csr(), hidden(ROWS)),
    "scale": lambda: spmm(RING.csr(), ROWS, scale=hidden(ROWS[:, 0])),
    "pairs": lambda: spgemm(RING.csr(), RING.csr(), mask=(hidden([1, 2]), [1, 2])),
    "keys": lambda: FastRP(dim=4).fit_transform(RING, keys=hidden(np.arange(40))),
    "explain": lambda: ann.HNSW().add(ROWS).explain(hidden(ROWS[0])),
    "strata": lambda: strata(hidden([1, 2, 3]), [0.0, 0.0, 1.0]),
}


@pytest.mark.parametrize("call", MASKED.values(), ids=MASKED)
def test_masked_entries_are_refused_by_every_room(call):
    with pytest.raises(InvalidInput, match="row 1 is masked"):
        call()


def test_forms_of_arrays():
    kept = torch.tensor(ROWS, requires_grad=True)
    assert ann.Exact().add(kept).search(kept, 1).ids.ravel().tolist() == list(range(40))
    assert ann.Exact().add(kept.bfloat16()).search(kept.bfloat16(), 1).ids.ravel().tolist() == list(range(40))
    assert unmasked("x", np.ma.masked_array([1, 2])).tolist() == [1, 2]
    for given in (kept.to_sparse(), torch.ones(2, dtype=torch.complex64)):
        with pytest.raises(InvalidType, match="queries"):
            ann.Exact().add(ROWS).search(given, 1)
    with pytest.raises(InvalidInput, match="queries must be an array, lists of equal lengths"):
        ann.Exact().add(ROWS).search([[1, 2, 3, 4], [1]], 1)


@pytest.mark.parametrize("node", [-1, 40, 1.5, "3"])
def test_positions_of_nodes_do_not_count_from_the_end(node):
    found = flow_diffusion(RING, [0], 5.0)
    classifier = AttributeClassifier(ROWS, positives=np.arange(9), negatives=np.arange(9, 40))
    for call in (lambda: classifier.scores([node]), lambda: Picture.of_cluster(RING, [node], found)):
        with pytest.raises(NearhopError):
            call()


def test_one_large_number_does_not_ask_for_all_memory():
    minhash = ann.MinHash(4)
    with pytest.raises(OutOfMemory, match="signatures of 1,000,000,000,001 rows"):
        minhash.update(np.ones((2, 4), np.uint32), rows=[10**12], elements=[1])
    with pytest.raises(InvalidInput, match="a label is 1,000,000,000"):
        evaluate(ROWS, np.where(np.arange(40) < 20, 10**9, 0))


def test_sets_are_collections():
    minhash = ann.MinHash(4)
    assert (minhash.fit_transform([iter([1, 2]), (3,)]) == minhash.fit_transform([[1, 2], [3]])).all()
    with pytest.raises(InvalidType, match="each set must be a collection of elements; got int '7'"):
        minhash.fit_transform([[1], 7])
