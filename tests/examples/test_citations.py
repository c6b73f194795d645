"""Topics along citations in its short form: what is cited by the cited helps."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from nearhop.tests.support import ROOT, data_file, needs


@needs("torch")
def test_short_form():
    folder = data_file("temporal/pubmed_edge_time.npy").parents[1]
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "citations.py"), "--short", "--threads", "1", "--json"],
        env={**os.environ, "NEARHOP_DATA": str(folder), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = {row["what"]: row["ours"] for row in json.loads(done.stdout.splitlines()[-1])["rows"]}
    assert rows["accuracy, level propagation"] > rows["accuracy, most frequent kind"] + 0.3
