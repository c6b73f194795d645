"""The FastRP example runs in its short form and reaches the published quality."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from nearhop.tests.support import ROOT, data_file, needs


@needs("sklearn")
def test_short_form():
    data = data_file("embedding/blogcatalog.mat").parent.parent
    script = ROOT / "examples" / "fastrp_blogcatalog.py"
    done = subprocess.run(
        [sys.executable, str(script), "--short", "--seeds", "1", "--json"],
        env={**os.environ, "NEARHOP_DATA": str(data)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)["rows"][0]
    assert row["micro_f1"] > 0.36
    assert row["macro_f1"] > 0.21
    assert row["published_micro_f1"] == 0.3723
