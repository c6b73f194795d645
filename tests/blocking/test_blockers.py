"""Blockers: exact where they say so, better than one another where they say so, saved, growing, explained."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from nearhop.ann import shingles
from nearhop.blocking import (
    CandidatePairs,
    EmbeddingBlocker,
    MinHashBlocker,
    NGramBlocker,
    Records,
    Union,
    at_recall,
    by_margin,
    by_score,
    curve,
    load,
    lost,
    quality,
)
from nearhop.blocking.ngrams import postings_cpu
from nearhop.blocking.ngrams.grams import Grams
from nearhop.blocking.ngrams.products import Postings
from nearhop.graphlib.errors import IndexMismatch, InvalidInput, NotFitted, NotFound, StoreCorrupt, StoreMissing
from nearhop.graphlib.sparse import CSR, spgemm, transpose
from nearhop.tests.blocking.tables import texts_of, two_tables, with_errors

KINDS: dict[str, Any] = {
    "ngrams": NGramBlocker,
    "bm25": lambda **options: NGramBlocker("bm25", **options),
    "minhash": MinHashBlocker,
    "embedding": lambda **options: EmbeddingBlocker(dim=96, **options),
    "union": lambda **options: Union([NGramBlocker(**options), MinHashBlocker(**options)]),
}


def test_grams_are_those_of_words():
    grams = Grams(3)
    texts = ["Sony-Radio 10", "ÉTÉ été", "", "a", "日本語"]
    indptr, indices, counts = grams.learn(texts)
    names = grams.names(texts)
    known = grams.known()
    told = [names[key] for key in known]
    rows = [dict(zip([told[i] for i in indices[a:b]], counts[a:b].tolist(), strict=True)) for a, b in pairwise(indptr)]
    assert rows[0] == dict.fromkeys([" so", "son", "ony", "ny ", " ra", "rad", "adi", "dio", "io ", " 10", "10 "], 1)
    assert rows[1] == {" ét": 2, "été": 2, "té ": 2}
    assert rows[2] == {}
    assert rows[3] == {" a ": 1}
    assert rows[4] == {" 日本": 1, "日本語": 1, "本語 ": 1}
    known = grams.rows(["sony unknown"])
    assert [told[i] for i in known[1]] == [" so", "son", "ony", "ny "]
    many = Grams(3)
    many.learn(["".join(chr(0x4E00 + i) for i in range(9000))])  # the table grows
    assert many.size == 9000
    with pytest.raises(InvalidInput, match=r"width must be an integer in \[1, 3\]; got 4"):
        Grams(4)


@pytest.mark.parametrize("k", [1, 7])
@pytest.mark.parametrize("least", [0.0, 0.2])
def test_the_best_products_are_those_of_the_whole_product(k, least, monkeypatch):
    rng = np.random.default_rng(k)

    def rows_of(count):
        dense = np.where(rng.random((count, 300)) < 0.06, rng.random((count, 300)), 0) * rng.pareto(1, 300)
        sparse = dense / np.maximum(np.linalg.norm(dense, axis=1, keepdims=True), 1e-9)
        at = np.nonzero(sparse)
        indptr = np.searchsorted(at[0], np.arange(count + 1)).astype(np.int64)
        return indptr, at[1].astype(np.int32), sparse[at].astype(np.float32)

    held, asked = rows_of(postings_cpu.BLOCK + 700), rows_of(60)
    found, scores, counts, work = Postings(held, 300).best(asked, k, least=least)
    product = spgemm(CSR(*asked, 300), transpose(CSR(*held, 300)), dtype=np.float64)
    for q in range(60):
        columns, values = product.row(q)
        assert values is not None
        order = np.lexsort((columns, -values))[:k]
        order = order[values[order] >= least]
        assert counts[q] == len(order)
        np.testing.assert_allclose(scores[q, : counts[q]], values[order], rtol=1e-4)
        assert (found[q, counts[q] :] == -1).all()
        assert np.isin(found[q, : counts[q]], columns[values >= values[order].min(initial=9) * (1 - 1e-4)]).all()
    assert work < product.num_entries * 3
    again = Postings(held, 300, threads=1).best(asked, k, least=least, threads=1)
    assert found.tolist() == again[0].tolist()
    assert scores.tobytes() == again[1].tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_most_matches_are_found(kind):
    left, right, truth = two_tables(400)
    blocker = KINDS[kind]()
    pairs = blocker.block(left, right, k=3)
    assert quality(pairs, truth).pc > (0.8 if kind == "minhash" else 0.95)
    rows = blocker.index(right).query(left, k=3)
    assert pairs.codes().tolist() == rows.codes().tolist()
    assert (pairs.rank < 3 * (2 if kind == "union" else 1)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_duplicates_within_one_table(kind):
    texts = texts_of(150)
    table = Records.of({"text": texts + with_errors(texts, errors=1.0)})
    truth = np.stack([np.arange(150), np.arange(150) + 150], axis=1)
    pairs = KINDS[kind]().block(table, k=3)
    assert (pairs.left < pairs.right).all()
    assert len(np.unique(pairs.codes())) == len(pairs)
    assert quality(pairs, truth).pc > 0.9
    assert pairs.num_possible == 300 * 299 // 2


@pytest.mark.parametrize("kind", KINDS)
def test_records_that_come_later_and_saved_blockers(kind, tmp_path):
    left, right, truth = two_tables(200)
    matches = [(left.keys[a], right.keys[b]) for a, b in truth[:60]]
    half = np.arange(100)
    blocker = KINDS[kind]().fit(left, right, matches)
    whole = blocker.block(left, right, recall=0.9)
    grown = blocker.index(right.chosen(half)).add(right.chosen(half + 100)).query(left, recall=0.9)
    assert whole.codes().tolist() == grown.codes().tolist()
    blocker.save(tmp_path / "b")
    opened = load(tmp_path / "b")
    assert opened.query(left, recall=0.9).to_arrow().equals(grown.to_arrow())
    (tmp_path / "b" / "blocker.json").write_text('{"kind": "ngrams"')
    with pytest.raises(StoreCorrupt, match="b holds no blocker that can be read"):
        load(tmp_path / "b")
    with pytest.raises(StoreMissing):
        load(tmp_path / "c")


@pytest.mark.parametrize("kind", ["ngrams", "minhash", "embedding"])
def test_threads_change_nothing(kind):
    left, right, _ = two_tables(150)
    one, two = (KINDS[kind](threads=threads).block(left, right, k=4) for threads in (1, 2))
    assert one.to_arrow().equals(two.to_arrow())


def test_a_recall_is_kept():
    left, right, truth = two_tables(300, errors=5.0)
    matches = [(left.keys[a], right.keys[b]) for a, b in truth]
    blocker = NGramBlocker().fit(left, right, matches)
    for recall in (0.5, 0.9, 0.97):
        pairs = blocker.block(left, right, recall=recall)
        k = int(pairs.rank.max()) + 1
        assert quality(pairs, truth).pc >= recall
        assert k == 1 or quality(pairs.best(k - 1), truth).pc < recall


def test_the_evaluator():
    left, right, truth = two_tables(120)
    pairs = NGramBlocker().block(left, right, k=5)
    rows = curve(pairs, truth)
    assert [row.k for row in rows] == [1, 2, 3, 4, 5]
    true = {tuple(pair) for pair in truth.tolist()}
    for row in rows:
        some = {(a, b) for a, b, rank in zip(pairs.left, pairs.right, pairs.rank, strict=True) if rank < row.k}
        hit = len(some & true)
        assert (row.candidates, row.found, row.pc, row.pq) == (len(some), hit, hit / 120, hit / len(some))
        assert row.f1 == pytest.approx(2 * row.pc * row.pq / (row.pc + row.pq))
        assert row.cssr == len(some) / 120**2 == pytest.approx(1 - row.rr)
    first = at_recall(pairs, truth, rows[1].pc)
    assert first is not None
    assert first.k == 1 + (rows[0].pc < rows[1].pc)
    assert at_recall(pairs.best(1), np.array([[0, 0], [0, 1], [0, 2]]), 1.0) is None
    best = by_score(pairs, truth, 0.9)
    assert best is not None
    assert best.candidates <= at_recall(pairs, truth, 0.9).candidates
    assert best.pc >= 0.9
    missing = lost(pairs, truth)
    assert len(missing) == 120 - rows[-1].found
    with pytest.raises(InvalidInput, match=r"truth must be row pairs"):
        quality(pairs, np.empty((0, 2), int))


def test_explanations():
    left = Records.of({"id": ["a"], "name": ["sony radio"]}, key="id")
    right = Records.of({"id": ["x", "y", "z"], "name": ["sony radio 5", "radio", "lamp"]}, key="id")
    blocker = NGramBlocker().index(right)
    near, far, none = (blocker.explain(left, ("a", key), k=1) for key in "xyz")
    assert (near.rank, near.is_lost, far.rank, far.is_lost, none.rank) == (0, False, 1, True, None)
    assert {gram for gram, _ in far.shared} == {" ra", "rad", "adi", "dio", "io "}
    assert sum(value for _, value in near.shared) > sum(value for _, value in far.shared)
    assert "is candidate 2, behind the first 1" in str(far)
    assert "shares nothing" in str(none)
    with pytest.raises(NotFound, match="names key 'q'"):
        blocker.explain(left, ("a", "q"))


def test_encoders_of_users():
    left, right, truth = two_tables(60)
    spoken = sorted(set(" ".join(texts_of(60)).split()))
    words = {word: np.random.default_rng(i).normal(size=24) for i, word in enumerate(spoken)}
    assert quality(EmbeddingBlocker(words).block(left, right, k=5), truth).pc > 0.8

    def encode(texts):
        sets = shingles(texts, width=3)
        return np.stack([np.bincount(sets.row(i) % 64, minlength=64) for i in range(len(sets))])

    assert quality(EmbeddingBlocker(encode).block(left, right, k=5), truth).pc > 0.8
    with pytest.raises(InvalidInput, match="encoder gave 1 rows for 60 texts"):
        EmbeddingBlocker(lambda texts: np.ones((1, 4))).block(left, right, k=1)


def test_mistakes_are_named(tmp_path):
    left, right, truth = two_tables(30)
    with pytest.raises(InvalidInput, match="give k"):
        NGramBlocker().block(left, right)
    with pytest.raises(NotFitted, match="recall= needs known matches"):
        NGramBlocker().block(left, right, recall=0.9)
    with pytest.raises(InvalidInput, match=r"recall must be in \(0, 1\]; got 2"):
        NGramBlocker().block(left, right, recall=2)
    with pytest.raises(InvalidInput, match="weighting must be one of 'bm25', 'tfidf'; got 'tf'"):
        NGramBlocker("tf")
    with pytest.raises(NotFitted, match="no table is indexed"):
        NGramBlocker().query(left, k=1)
    with pytest.raises(InvalidInput, match="at least one blocker"):
        Union([])
    blocker = NGramBlocker().fit(left, right, [(left.keys[a], right.keys[b]) for a, b in truth])
    with pytest.raises(IndexMismatch, match=r"has columns \['name'\], and the model was fitted on \['text'\]"):
        blocker.block(Records.of({"name": ["a"]}), right, k=1)
    before = len(blocker.index(right)._indexed())
    with pytest.raises(InvalidInput, match="the same key"):
        blocker.add(right)
    assert len(blocker._indexed()) == before
    with pytest.raises(InvalidInput, match="cannot be saved"):
        EmbeddingBlocker(lambda texts: np.ones((len(texts), 2))).save(tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_part_numbers_count_without_their_punctuation(tmp_path):
    import json

    left = Records.of({"id": [0], "name": ["Sony PSLX350H turntable"]}, key="id")
    names = ["Sony PS-L-X350-H", "Sony turntable", "Denon turntable", "Sony radio"]
    right = Records.of({"id": range(4), "name": names}, key="id")
    assert NGramBlocker().block(left, right, k=1).right.tolist() == [1]
    for weighting in ("tfidf", "bm25"):
        blocker = NGramBlocker(weighting, codes=True)
        assert blocker.block(left, right, k=1).right.tolist() == [0]
        assert "x35" in [gram for gram, _ in blocker.index(right).explain(left, (0, 0)).shared]
    blocker.save(tmp_path / "kept")
    assert load(tmp_path / "kept").query(left, k=1).right.tolist() == [0]
    about = json.loads((tmp_path / "kept" / "blocker.json").read_text())
    del about["parameters"]["codes"]  # as files were before
    (tmp_path / "kept" / "blocker.json").write_text(json.dumps(about))
    assert load(tmp_path / "kept").query(left, k=1).right.tolist() == [1]


def test_pairs_near_the_best_of_their_record():
    keys = np.arange(3)
    left, right = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 2, 2])
    score = np.array([0.9, 0.5, 0.4, 0.35, 0.6], np.float32)
    pairs = CandidatePairs(left, right, score, np.array([0, 1, 0, 1, 0], np.int32), keys, keys + 10)
    assert np.allclose(pairs.margins(), [0, 0.4, 0, 0.05, 0])
    assert pairs.within(0).right.tolist() == [0, 1, 2]
    assert pairs.within(0.1).right.tolist() == [0, 1, 2, 2]
    with pytest.raises(InvalidInput, match="margin must be a number of at least 0"):
        pairs.within(-1)
    truth = np.array([[0, 0], [1, 2], [2, 2]])
    got = by_margin(pairs, truth, 1.0)
    assert (got.candidates, got.found, got.pc, got.pq) == (4, 3, 1.0, 0.75)
    assert by_score(pairs, truth, 1.0).candidates == 5
    two = by_margin(pairs, truth, 0.6)  # of the best ones, the two of highest score
    assert (two.candidates, two.found) == (2, 2)
    assert by_margin(pairs, np.array([[0, 2]]), 1.0) is None
