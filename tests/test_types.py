"""Type checkers know the words: a user's script with a wrong metric, storage or model does not pass `mypy --strict`."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from nearhop.tests.support import ROOT, needs

RIGHT = """
# mypy: disallow-any-generics, disallow-subclassing-any, disallow-untyped-calls, disallow-untyped-defs
# mypy: disallow-incomplete-defs, disallow-untyped-decorators, warn-return-any, strict-equality, extra-checks
import numpy as np

import nearhop
from nearhop import ann, embed
from nearhop.ann.words import Index

store = nearhop.GraphStore.from_edges(np.array([0, 1]), np.array([1, 2]))
vectors = np.eye(3, dtype=np.float32)
kinds: list[Index] = [ann.Exact(), ann.HNSW(), ann.IVFFlat(), ann.LSH(ann.MinHash(64, "oph")), ann.Faiss()]
index = ann.HNSW("cosine", storage="int8").add(vectors)
index.save("items.nh")
opened = ann.load("items.nh", metric="cosine")
print(len(opened), opened.search(vectors, k=1, ef_search=10).ids)
model = embed.GraphVite("line", 16, optimizer="adam")
walked = embed.SkipGram(16, negatives="pair", direction="out")
"""
WRONG = {
    'ann.HNSW("euclidean")': "arg-type",
    'ann.HNSW(storage="int3")': "arg-type",
    'ann.HNSW.from_store(store, "x", metric="cosin")': "typeddict-item|arg-type",
    'ann.IVFFlat("hamming")': "arg-type",
    'ann.load("items.nh", metric="dot")': "arg-type",
    'ann.load("items.nh").tune(0.9)': "attr-defined",
    'ann.MinHash(64, "minhash")': "arg-type",
    'embed.GraphVite("word2vec")': "arg-type",
    'embed.SkipGram(negatives="shared")': "arg-type",
}


@needs("mypy")
@pytest.mark.timeout(600)
def test_a_strict_script_is_told_of_wrong_words(tmp_path):
    first = len(RIGHT.splitlines()) + 1
    script = tmp_path / "user.py"
    script.write_text(RIGHT + "".join(f"{line}\n" for line in WRONG))
    """What `--strict` adds is named in the script, so that what `make lint` has checked is known from its cache."""
    tree = ROOT / "build" / "typecheck"
    if not (tree / "nearhop").exists():
        tree = tmp_path / "packages"
        tree.mkdir()
        (tree / "nearhop").symlink_to(ROOT, target_is_directory=True)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", str(script)],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )
    found = {int(at): kind for at, kind in re.findall(r"^\S*user\.py:(\d+): error: .*\[([\w-]+)\]$", done.stdout, re.M)}
    assert {at for at in found if at < first} == set(), done.stdout
    for number, (line, kind) in enumerate(WRONG.items(), first):
        assert re.fullmatch(kind, found.get(number, "")), f"{line} was not refused:\n{done.stdout}"
