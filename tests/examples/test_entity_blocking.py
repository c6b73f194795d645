"""Blocking in its short form: what is trained finds more than MinHash, and every method is judged."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from nearhop.tests.support import ROOT, data_file, needs


@needs("torch")
def test_short_form():
    folder = data_file("er/abt_buy/abt.csv.gz").parents[2]
    script = str(ROOT / "examples" / "entity_blocking.py")
    done = subprocess.run(
        [sys.executable, script, "--datasets", "abt_buy", "--short", "--threads", "1", "--json"],
        env={**os.environ, "NEARHOP_DATA": str(folder), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = {row["what"]: row["ours"] for row in json.loads(done.stdout.splitlines()[-1])["rows"]}
    assert rows["TF-IDF, all: PC@10"] > 97
    assert rows["TF-IDF, all: k"] <= 3
    assert rows["NLSHBlock ngrams, unseen: PC@5"] > rows["MinHash, unseen: PC@5"]
