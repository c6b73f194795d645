"""The DeepWalk example runs in its short form."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from nearhop.tests.support import ROOT, data_file, needs


@needs("sklearn")
@pytest.mark.parametrize("method", ["deepwalk", "node2vec"])
def test_short_form(method):
    data = data_file("embedding/PPI.ungraph.gz").parent.parent
    script = ROOT / "examples" / "deepwalk.py"
    words = ["--short", "--dataset", "ppi", "--method", method, "--compare", "--json"]
    done = subprocess.run(
        [sys.executable, str(script), *words],
        env={**os.environ, "NEARHOP_DATA": str(data)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)["rows"][0]
    assert row["train_percent"] == 20
    assert row["micro_f1"] > 0.12
    assert abs(row["micro_f1_change"]) < 0.04
