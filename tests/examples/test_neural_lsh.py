"""Learned partitions in the short form: at equal candidates no worse than k-means lists."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from nearhop.tests.support import ROOT, data_file, needs


@needs("torch")
def test_short_form():
    folder = data_file("ann/glove-twitter-25d.txt.gz").parents[1]
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "neural_lsh.py"), "--datasets", "glove", "--short", "--json"],
        env={**os.environ, "NEARHOP_DATA": str(folder), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = {row["what"]: row["ours"] for row in json.loads(done.stdout.splitlines()[-1])["rows"]}
    ours = {what: value for what, value in rows.items() if not what.endswith("of k-means")}
    assert len(ours) == 5
    for what, value in ours.items():
        if "coverage" in what:
            assert value > rows[f"{what} of k-means"], what
