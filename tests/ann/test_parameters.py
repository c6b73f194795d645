"""Parameters that rows are kept by cannot change while an index holds rows; setting one back is as good as nothing."""

from __future__ import annotations

import numpy as np
import pytest

from nearhop import ann
from nearhop.ann import HNSW, Exact, IVFFlat
from nearhop.graphlib.errors import IndexMismatch
from nearhop.tests.support import needs

ROWS = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
CASES = [
    (lambda: Exact().add(ROWS), "metric", "cosine"),
    (lambda: IVFFlat(nlist=4).add(ROWS), "metric", "ip"),
    (lambda: IVFFlat(nlist=4).add(ROWS), "nlist", 8),
    (lambda: HNSW().add(ROWS), "metric", "cosine"),
    (lambda: HNSW().add(ROWS), "M", 8),
    (lambda: HNSW().add(ROWS), "storage", "float16"),
    (lambda: HNSW().add(ROWS), "storage", "int8"),
    (lambda: HNSW(storage="int8").add(ROWS), "storage", "float32"),
    (lambda: HNSW("cosine", storage="int8-only").add(ROWS), "storage", "int8"),
]


@pytest.mark.parametrize(("make", "name", "value"), CASES)
def test_a_changed_parameter_is_refused_by_every_call(make, name, value, tmp_path):
    index = make()
    before, want = getattr(index, name), index.search(ROWS[:5], 3)
    setattr(index, name, value)
    message = f"cannot change once the index holds rows.*: {name} was {before!r} and is now {value!r}; set it back"
    calls = [
        lambda: index.add(ROWS[:1]),
        lambda: index.search(ROWS[0], 3),
        lambda: index.remove([0]),
        index.compact,
        lambda: index.save(tmp_path / "a.nh"),
    ]
    for call in calls:
        with pytest.raises(IndexMismatch, match=message):
            call()
    assert not (tmp_path / "a.nh").exists()
    setattr(index, name, before)
    assert index.search(ROWS[:5], 3).ids.tolist() == want.ids.tolist()
    index.save(tmp_path / "a.nh")
    opened = ann.load(tmp_path / "a.nh")
    setattr(opened, name, value)
    with pytest.raises(IndexMismatch, match=message):
        opened.search(ROWS[0], 3)


@needs("faiss")
def test_faiss_refuses_too():
    index = ann.Faiss("Flat").add(ROWS)
    index.metric = "cosine"
    with pytest.raises(IndexMismatch, match="metric was 'l2' and is now 'cosine'"):
        index.search(ROWS[0], 1)
    index.metric, index.factory = "l2", "HNSW16"
    with pytest.raises(IndexMismatch, match="factory was 'Flat' and is now 'HNSW16'"):
        index.add(ROWS)


def test_lsh_refuses_too():
    index = ann.LSH(ann.MinHash(64), threshold=0.5).add([range(50), range(5, 55)])
    index.bands = 4
    for call in (lambda: index.add([range(3)]), lambda: index.search([range(50)], 1), lambda: index.remove([0])):
        with pytest.raises(IndexMismatch, match="bands was None and is now 4"):
            call()
    index.bands = None
    assert index.search([range(50)], 1).ids.tolist() == [[0]]


def test_parameters_may_change_before_there_are_rows():
    index = HNSW()
    index.metric, index.storage, index.M = "cosine", "int8", 8
    assert index.add(ROWS).search(ROWS[0], 1).ids.tolist() == [[0]]
    lists = IVFFlat(nlist=4).fit(ROWS)
    lists.nlist = 6
    with pytest.raises(IndexMismatch, match="nlist was 4 and is now 6"):
        lists.add(ROWS)
    assert len(lists.fit(ROWS).add(ROWS).list_sizes) == 6


def test_other_parameters_may_change_at_any_time():
    index = HNSW(ef_construction=50).add(ROWS)
    index.ef_construction, index.ef_search, index.threads, index.seed = 80, 20, 1, 3
    index.add(ROWS + 1)
    lists = IVFFlat(nlist=4).add(ROWS)
    lists.nprobe = 4
    assert lists.search(ROWS[3], 1).ids.tolist() == [[3]]
