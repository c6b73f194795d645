"""A small retriever over texts: vectors of character n-grams, HNSW, and recall against known matches.

Records of one catalogue are the queries, records of another are searched. The pairs that describe the same thing are
known, so recall@k is the share of them whose second record is among the k nearest of the first.

Texts become TF-IDF weights of hashed character n-grams (3 to 5, within words), projected to a few hundred dimensions by
a sparse random matrix: no model, no download, no training but a count. Sentence embeddings take their place with
--model NAME (needs `nearhop[text]` and a model on this machine).

    python examples/text_retriever.py                         # three pairs of catalogues
    python examples/text_retriever.py --ask "sony turntable"  # the nearest records of the Buy catalogue
"""

from __future__ import annotations

import argparse
import csv
import gzip
import time
from collections.abc import Sequence
from pathlib import Path

import _report
import numpy as np
import scipy.sparse as sp

from nearhop.ann import HNSW, Exact
from nearhop.graphlib.extras import require
from nearhop.tests.support import data_folder

BUCKETS = 1 << 18
LENGTHS = (3, 4, 5)
SPREAD = 8  # coordinates that a bucket adds to
TABLES = {
    "abt_buy": ("abt", "buy", "|", ("name", "description")),
    "amazon_google": ("amazon", "gp", "#", ("title", "name", "description", "manufacturer")),
    "dblp_acm": ("dblp", "acm", "%", ("title", "authors", "year")),
}
CUTS = (1, 5, 10)


class HashedNgrams:
    """TF-IDF of character n-grams hashed into buckets, projected to `dim` coordinates.

    Weight of an n-gram: (1 + log tf) * (1 + log((1 + n) / (1 + df))), rows scaled to length 1. Every bucket adds its
    weight to 8 coordinates with random signs, which keeps inner products in expectation (arXiv:1012.1577).
    """

    def __init__(self, dim: int = 512, seed: int = 0) -> None:
        self.dim = dim
        self.seed = seed

    def fit(self, texts: Sequence[str]) -> HashedNgrams:
        counts = self._counts(texts)
        frequency = np.bincount(counts.indices, minlength=BUCKETS)
        self.idf_ = (1 + np.log((1 + len(texts)) / (1 + frequency))).astype(np.float32)
        rng = np.random.default_rng(self.seed)
        where = rng.integers(self.dim, size=(BUCKETS, SPREAD))
        signs = rng.choice(np.array([-1, 1], np.float32), size=(BUCKETS, SPREAD)) / np.float32(np.sqrt(SPREAD))
        starts = np.arange(0, BUCKETS * SPREAD + 1, SPREAD)
        self.projection_ = sp.csr_array((signs.ravel(), where.ravel(), starts), shape=(BUCKETS, self.dim))
        return self

    def weights(self, texts: Sequence[str]) -> sp.csr_array:
        """The sparse rows before projection."""
        rows = self._counts(texts)
        rows.data = (1 + np.log(rows.data)).astype(np.float32) * self.idf_[rows.indices]
        norms = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
        return sp.csr_array(sp.diags_array(1 / np.maximum(norms, 1e-12)).astype(np.float32) @ rows)

    def transform(self, texts: Sequence[str]) -> np.ndarray:
        return np.asarray((self.weights(texts) @ self.projection_).todense(), np.float32)

    def _counts(self, texts: Sequence[str]) -> sp.csr_array:
        """How often every bucket occurs in every text: one pass over all bytes per n-gram length."""
        words = [f" {' '.join(text.lower().split())} ".encode() for text in texts]
        letters = np.frombuffer(b"".join(words), np.uint8).astype(np.uint64)
        owner = np.repeat(np.arange(len(words)), [len(word) for word in words])
        found_rows, found_buckets = [], []
        for length in LENGTHS:
            last = len(letters) - length + 1
            if last <= 0:
                continue
            code = np.full(last, length, np.uint64)
            inside = owner[:last] == owner[length - 1 :]
            for j in range(length):
                code = (code + letters[j : j + last]) * np.uint64(0x9E3779B97F4A7C15)
                code ^= code >> np.uint64(29)
                if 0 < j < length - 1:  # a space may begin or end an n-gram, not lie within
                    inside &= letters[j : j + last] != 32
            found_rows.append(owner[:last][inside])
            found_buckets.append((code[inside] >> np.uint64(46)).astype(np.int64))
        rows, buckets = np.concatenate(found_rows), np.concatenate(found_buckets)
        ones = np.ones(len(rows), np.float32)
        return sp.csr_array(sp.coo_array((ones, (rows, buckets)), shape=(len(words), BUCKETS)))


class SentenceVectors:
    """The same two calls over a sentence-transformers model."""

    def __init__(self, name: str) -> None:
        self.model = require("sentence_transformers", "--model").SentenceTransformer(name)

    def fit(self, texts: Sequence[str]) -> SentenceVectors:
        return self

    def transform(self, texts: Sequence[str]) -> np.ndarray:
        return np.asarray(self.model.encode(list(texts), show_progress_bar=False), np.float32)


class Retriever:
    """Texts in, nearest texts out."""

    def __init__(self, vectors: HashedNgrams | SentenceVectors, threads: int | None = None) -> None:
        self.vectors = vectors
        self.index = HNSW("cosine", M=16, ef_construction=200, threads=threads)

    def fit(self, texts: Sequence[str], ids: Sequence[int]) -> Retriever:
        self.texts = dict(zip(ids, texts, strict=True))
        self.index.add(self.vectors.fit(texts).transform(texts), np.asarray(ids))
        return self

    def search(self, texts: Sequence[str], k: int = 10) -> np.ndarray:
        return self.index.search(self.vectors.transform(texts), k, ef_search=100).ids

    def show(self, question: str, k: int = 3) -> list[str]:
        return [self.texts[i] for i in self.search([question], k)[0].tolist() if i >= 0]


def read(path: Path, delimiter: str, columns: Sequence[str]) -> tuple[list[int], list[str]]:
    """Ids and texts of a catalogue; columns that it lacks are left out."""
    with gzip.open(path, "rt", encoding="utf-8", errors="replace", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter=delimiter))
    return [int(row["id"]) for row in rows], [" ".join(row.get(c) or "" for c in columns) for row in rows]


def load(folder: Path, name: str) -> tuple[list[int], list[str], list[int], list[str], np.ndarray]:
    left, right, delimiter, columns = TABLES[name]
    ids_a, texts_a = read(folder / f"{left}.csv.gz", delimiter, columns)
    ids_b, texts_b = read(folder / f"{right}.csv.gz", delimiter, columns)
    with gzip.open(folder / "gt.csv.gz", "rt") as lines:
        matches = np.array([[int(cell) for cell in line] for line in list(csv.reader(lines, delimiter=delimiter))[1:]])
    return ids_a, texts_a, ids_b, texts_b, matches


def recall_at(found: np.ndarray, order: np.ndarray, matches: np.ndarray) -> list[float]:
    """The share of matches (a, b) in which b is among the first k found for a, for every k of `CUTS`."""
    place = {int(a): i for i, a in enumerate(order)}
    rows = found[[place[int(a)] for a in matches[:, 0]]]
    hits = rows == matches[:, 1:]
    return [float(hits[:, :k].any(axis=1).mean()) for k in CUTS]


def vectors_of(options: argparse.Namespace, seed: int) -> SentenceVectors | HashedNgrams:
    return SentenceVectors(options.model) if options.model else HashedNgrams(options.dim, seed)


def evaluate(
    name: str, folder: Path, options: argparse.Namespace, seed: int
) -> tuple[dict[str, int], dict[str, list[float]]]:
    """How many records were asked and searched, and recalls by how."""
    ids_a, texts_a, ids_b, texts_b, matches = load(folder, name)
    vectors = vectors_of(options, seed)
    start = time.perf_counter()
    retriever = Retriever(vectors, options.threads).fit(texts_b, ids_b)
    built = time.perf_counter() - start
    retriever.search(texts_a[:1])
    start = time.perf_counter()
    found = retriever.search(texts_a, max(CUTS))
    each = 1e3 * (time.perf_counter() - start) / len(ids_a)
    sizes = {"queries": len(ids_a), "records": len(ids_b), "matches": len(matches)}
    _report.note(f"{name}: {sizes}; fit {built:.2f} s, {each:.3f} ms a query, vectors included")
    dense = (
        Exact("cosine", threads=options.threads)
        .add(vectors.transform(texts_b), np.array(ids_b))
        .search(vectors.transform(texts_a), max(CUTS))
    )
    order = np.array(ids_a)
    recalls = {"HNSW": recall_at(found, order, matches), "exact": recall_at(dense.ids, order, matches)}
    if isinstance(vectors, HashedNgrams):
        scores = np.asarray((vectors.weights(texts_a) @ vectors.weights(texts_b).T).todense())
        best = np.argsort(-scores, axis=1, kind="stable")[:, : max(CUTS)]
        recalls["before projection"] = recall_at(np.array(ids_b)[best], order, matches)
    return sizes, recalls


def main() -> None:
    short = {"datasets": ["abt_buy"]}
    parser = _report.parser(__doc__, datasets=list(TABLES), choices=list(TABLES), seeds=1, short=short)
    parser.add_argument("--dim", type=_report.positive, default=512)
    parser.add_argument("--model", help="a sentence-transformers model instead of n-grams")
    parser.add_argument("--ask", help="print the nearest records of the first tables to this text")
    options = parser.parse_args()
    root = data_folder()
    if root is None:
        raise SystemExit("needs the tables er/*/*.csv.gz; set NEARHOP_DATA to the folder that holds er/")
    if options.ask:
        _, _, ids, texts, _ = load(root / "er" / options.datasets[0], options.datasets[0])
        print(*Retriever(vectors_of(options, 0), options.threads).fit(texts, ids).show(options.ask), sep="\n")
        return
    rows, asked = [], {}
    for name in options.datasets:
        done = [evaluate(name, root / "er" / name, options, seed) for seed in range(options.seeds)]
        asked[name], runs = done[0][0], [recalls for _, recalls in done]
        for way in runs[0]:
            for at, k in enumerate(CUTS):
                rows.append(_report.Row.of(name, f"{way}: recall@{k}", [run[way][at] for run in runs]))
    _report.show(rows, as_json=options.json, asked=asked)


if __name__ == "__main__":
    main()
