"""What indexes share: a kind is a few methods and a line of `KINDS`; results of shards are merged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nearhop import ann
from nearhop.ann import HNSW, LSH, Exact, IVFFlat, MinHash, SearchResult, opening
from nearhop.ann.index import VectorIndex
from nearhop.ann.metrics import metric_code
from nearhop.ann.storage.rows import storages
from nearhop.ann.store_rows import store_ids
from nearhop.ann.stored import checked_fields, identified_rows, index_fields, laid_out, new_store, next_id_field, sound
from nearhop.ann.words import RowMetric
from nearhop.graphlib.errors import IndexMismatch, InvalidInput, InvalidType, NotFitted, NotFound
from nearhop.tests.support import kept_as


def rows_of(count=60, dim=6, seed=0):
    return np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)


class Plain(VectorIndex):
    """The shortest index there is: NumPy compares everything, in steps of some size."""

    KIND = "plain"
    KNOB = "step"
    FROZEN = ("metric",)

    def __init__(self, metric: RowMetric = "l2", *, step: int = 16, threads: int | None = None) -> None:
        super().__init__()
        self.metric, self.step, self.threads = metric, step, threads
        self._held = np.empty((0, 0), np.float32)

    @property
    def dim(self) -> int | None:
        return self._held.shape[1] or None

    def search(self, queries, k, *, step=None, filter=None, threads=None) -> SearchResult:
        return self._search(queries, k, filter, threads, step=step)

    def vectors(self):
        return self._held[self._rows.live]

    def _insert(self, rows, ids, progress):
        joined = np.concatenate([self._held.reshape(-1, rows.shape[1]), rows])
        with self._lock.changing():
            self._held = joined
            self._rows.append(ids)
        if progress is not None:
            progress(len(rows), len(rows))

    def _nearest(self, queries, k, allowed, threads, step=None):
        far = np.stack([((self._held - query) ** 2).sum(axis=1) for query in queries])
        far = far if allowed is None else np.where(allowed, far, np.inf)
        rows = np.argsort(far, axis=1, kind="stable")[:, :k]
        distances = np.take_along_axis(far, rows, axis=1).astype(np.float32)
        return distances, np.where(np.isinf(distances), -1, rows), np.isfinite(distances).sum(1).astype(np.int32)

    def _compacted(self, live):
        return {"_held": self._held[live]}

    def _stored(self):
        store = new_store(self._held, self._rows)
        store.attributes["index"] = {"kind": "plain", "metric": self.metric, **next_id_field(self._rows)}
        return store

    @classmethod
    def _opened(cls, store):
        with sound(store):
            fields = checked_fields(index_fields(store), {"metric": str})
            rows = store.nodes("node")["vector"]
            index = cls(fields["metric"])
            index._held = laid_out("vector", rows, np.float32, rows.shape)
            index._rows = identified_rows(store, fields, store_ids(store, "node", len(rows), text=True))
            return index

    def _check_parameters(self):
        self._check_frozen()
        return metric_code(self.metric)


@pytest.fixture
def plain(monkeypatch):
    monkeypatch.setitem(opening.KINDS, "plain", Plain)


def test_a_kind_of_a_few_methods_has_the_whole_protocol(plain, tmp_path):
    rows, told = rows_of(), []
    index = Plain().add(rows[:50], ids=np.arange(50) * 2, progress=lambda *done: told.append(done))
    assert told == [(50, 50)]
    index.add(rows[50:])
    assert index.ids[-1] == 108
    exact = Exact().add(rows, ids=index.ids)
    for given in (None, np.arange(0, 40), [4, 8, 300], np.arange(60) % 3 == 0):
        found, truth = (one.search(rows[:7], 9, filter=given) for one in (index, exact))
        assert found.ids.tolist() == truth.ids.tolist()
        assert found.counts.tolist() == truth.counts.tolist()
    assert index.remove([4, 108]) == 2
    with pytest.raises(NotFound):
        index.remove([4])
    index.save(tmp_path / "a.nh")
    index.compact()
    for one in (index, ann.load(tmp_path / "a.nh", metric="l2", dim=6)):
        assert isinstance(one, Plain)
        assert (len(one), one.search(rows[2], 100).counts.tolist()) == (58, [58])
        assert one.search(rows[2], 1).ids.tolist() != [[4]]
        assert one.add(rows[:1]).ids.max() == 109
    with pytest.raises(IndexMismatch, match="width 5 but the index has dim 6"):
        index.add(rows[:, :5])
    index.metric = "ip"
    with pytest.raises(IndexMismatch, match="metric"):
        index.search(rows[0], 1)


def test_the_command_line_knows_a_kind_by_its_line(plain, tmp_path, capsys, monkeypatch):
    from nearhop.cli import main

    def run(*words):
        with pytest.raises(SystemExit) as left:
            main([*map(str, words), "--json"])
        return left.value.code, capsys.readouterr()

    monkeypatch.chdir(tmp_path)
    np.save("v.npy", rows_of())
    code, said = run("index", "build", "v.npy", "--out", "p.nh", "--kind", "plain", "--set", "step=7")
    assert code == 0, said.err
    code, said = run("index", "search", "p.nh", "v.npy", "-k", 1, "--effort", 3, "--out", "found.npy")
    assert code == 0, said.err
    assert np.load("found.npy").ravel().tolist() == list(range(60))
    for words in (("info", "p.nh"), ("verify", "p.nh"), ("convert", "p.nh", "e.bin", "--kind", "exact"),
                  ("remove", "p.nh", 3), ("eval", "p.nh", "v.npy", "-k", 3)):  # fmt: skip
        code, said = run("index", *words)
        assert code == 0, (words, said.err)
    assert len(ann.load("p.nh")) == 59
    code, said = run("index", "build", "v.npy", "--out", "q.nh", "--set", "step")
    assert (code, "--set takes NAME=VALUE" in said.err) == (3, True)


def test_kinds_are_listed_once():
    assert set(opening.KINDS) == {"exact", "hnsw", "ivf", "neural", "lsh", "faiss", "cann"}
    assert all(name == kind.KIND for name, kind in opening.KINDS.items())
    with pytest.raises(
        InvalidInput, match="kind of index must be one of 'hnsw', 'exact', 'ivf', 'neural', 'faiss'; got 'lsh'"
    ):
        opening.vector_kind("lsh")


@pytest.mark.parametrize("make", [Exact, lambda: IVFFlat(nlist=3), lambda: HNSW(M=4)])
def test_the_rows_that_are_left_are_given_back(make):
    rows = rows_of()
    with pytest.raises(NotFitted):
        make().vectors()
    index = make().add(rows)
    assert index.vectors().tolist() == rows.tolist()
    index.remove([3, 59])
    assert index.vectors().tolist() == np.delete(rows, [3, 59], axis=0).tolist()
    assert index.compact().vectors().tolist() == np.delete(rows, [3, 59], axis=0).tolist()
    assert index.nbytes > rows.nbytes // 2


def test_bits_are_given_back_as_bytes():
    rows = np.random.default_rng(0).integers(0, 256, (20, 5)).astype(np.uint8)
    assert Exact("hamming").add(rows).vectors().tolist() == rows.tolist()
    assert HNSW("hamming").add(rows).vectors().tolist() == rows.tolist()


@pytest.mark.parametrize("storage", [*storages(), "packed"])
@pytest.mark.parametrize("ids", [None, [f"row {i}" for i in range(60)]])
def test_an_emptied_hnsw_is_saved_and_opened(storage, ids, tmp_path):
    index = HNSW("cosine", M=5, ef_search=33, seed=4, **kept_as(storage)).add(rows_of(), ids=ids)
    index.remove(index.ids)
    index.compact().save(tmp_path / "none.nh")
    opened = ann.load(tmp_path / "none.nh", storage=kept_as(storage)["storage"])
    assert (len(opened), opened.M, opened.ef_search, opened.seed) == (0, 5, 33, 4)
    assert opened.search(rows_of(2), 3).counts.tolist() == [0, 0]
    if ids is None:
        assert opened.add(rows_of(3)).ids.tolist() == [60, 61, 62]
    else:
        assert opened.add(rows_of(3), ids=["a", "b", "c"]).search(rows_of(1), 1).ids.tolist() == [["a"]]
    with pytest.raises(NotFitted):
        HNSW().save(tmp_path / "never.nh")


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
@pytest.mark.parametrize("parts", [1, 2, 7])
def test_shards_give_what_one_index_gives(metric, parts):
    rows, queries = rows_of(200), rows_of(20, seed=1)
    rows[50:60] = rows[40:50]  # ties
    ids = np.random.default_rng(2).permutation(200)
    whole = Exact(metric).add(rows, ids=ids)
    shards = [Exact(metric).add(rows[part], ids=ids[part]) for part in np.array_split(np.arange(200), parts)]
    for k in (1, 9, 150, 300):
        merged = ann.merge([shard.search(queries, k) for shard in shards], k)
        expected = whole.search(queries, k)
        assert merged.ids.tolist() == expected.ids.tolist()
        assert merged.distances.tobytes() == expected.distances.tobytes()
        assert merged.counts.tolist() == expected.counts.tolist()


def test_merging_looks_at_what_it_is_given():
    rows = rows_of(10)
    one, named = Exact().add(rows), Exact().add(rows, ids=[f"r{i}" for i in range(10)])
    empty: Any = Exact().search(np.empty((0, 6)), 3)
    assert len(ann.merge([empty, empty])) == 0
    text = ann.merge([named.search(rows[:2], 2), Exact().search(rows[:2], 5)])
    assert text.ids.tolist() == [[*found, "", "", ""] for found in named.search(rows[:2], 2).ids.tolist()]
    assert text.counts.tolist() == [2, 2]
    few = ann.merge([one.search(rows[:2], 4, filter=[1]), one.search(rows[:2], 4, filter=[2, 3])])
    assert few.counts.tolist() == [3, 3]
    assert few.ids[:, 3].tolist() == [-1, -1]
    for results, error, words in (
        ([], InvalidInput, "at least one result"),
        ([one.search(rows[:2], 1), one.search(rows[:3], 1)], InvalidInput, "got 2 and 3 queries"),
        ([one.search(rows[:2], 1), named.search(rows[:2], 1)], InvalidType, "ids of shards must be of one kind"),
    ):
        with pytest.raises(error, match=words):
            ann.merge(results)
    with pytest.raises(InvalidInput, match="k must be an integer >= 1"):
        ann.merge([one.search(rows[:2], 1)], 0)


def test_lsh_shares_rows_and_ids():
    index = LSH(MinHash(16), bands=8).add([[1], [2], [3]], ids=[7, 8, 9])
    assert (len(index), index.ids.tolist(), index.remove([8])) == (3, [7, 8, 9], 1)
    assert (len(index.compact()), index.ids.tolist()) == (2, [7, 9])


@pytest.mark.parametrize(
    "given",
    [
        range(10**18),
        range(-(2**62) - 5, 2**62 + 300, 3),
        range(2**62 + 299, -(2**63), -7),
        range(-(2**70), 2**70, 11),
        range(2**62 + 7, 2**90, 2**80),
        range(2**63, 2**64),
    ],
)
def test_a_range_of_ids_may_be_of_any_length(given):
    ids = np.concatenate([np.arange(30), 2**62 + np.arange(30)])
    index = Exact().add(rows_of(60), ids=ids)
    found = index.search(rows_of(1), 60, filter=given)
    assert set(found.ids[0, : found.counts[0]].tolist()) == {i for i in ids.tolist() if i in given}
