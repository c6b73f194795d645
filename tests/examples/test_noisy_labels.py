"""The example with noisy labels runs in its short form; labels help, also those that a classifier made."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from nearhop.tests.support import ROOT, data_file, needs


@needs("sklearn")
def test_short_form():
    data = data_file("gnn_benchmark/amazon_electronics_photo.npz").parent.parent
    data_file("planetoid/ind.cora.graph")
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "noisy_labels.py"), "--short", "--datasets", "cora", "--json"],
        env={**os.environ, "NEARHOP_DATA": str(data)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    cora = json.loads(done.stdout)["results"]["cora"]
    for found in (cora["flips"], cora["samples"]["25"]):
        assert found["LFD"][0] > found["FD"][0] + 0.05
