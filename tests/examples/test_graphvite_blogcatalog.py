"""The GraphVite example runs in its short form and comes near the published quality."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from nearhop.tests.support import ROOT, data_file


def test_short_form():
    data = data_file("embedding/blogcatalog.mat").parent.parent
    script = ROOT / "examples" / "graphvite_blogcatalog.py"
    done = subprocess.run(
        [sys.executable, str(script), "--short", "--json"],
        env={**os.environ, "NEARHOP_DATA": str(data)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    scores = json.loads(done.stdout)["scores"]
    assert scores["micro_f1"]["mean"] > 0.31
    assert scores["macro_f1"]["mean"] > 0.1
    assert scores["auc"]["mean"] > 0.875
    assert scores["auc"]["published"] == 0.899933
