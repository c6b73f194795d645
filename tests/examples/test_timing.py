"""Timing before routing in its short form: local delays along levels beat depth and load on a circuit never seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from nearhop import datasets
from nearhop.tests.support import ROOT, data_file, needs


@needs("torch")
def test_short_form(tmp_path):
    for name in ("tau2015-c432", "tau2015-s386", "tau2015-s344"):
        for path in datasets.info(name).files:
            folder = data_file(path).parents[2]
    command = [sys.executable, str(ROOT / "examples" / "timing.py"), "--short", "--threads", "1", "--json"]
    done = subprocess.run(
        [*command, "--variants", "full", "linear", "--pictures", str(tmp_path)],
        env={**os.environ, "NEARHOP_DATA": str(folder), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = {row["what"]: row["ours"] for row in json.loads(done.stdout.splitlines()[-1])["rows"]}
    assert rows["full: R2 of arrival"] > 0.9 > 0.5 > rows["linear: R2 of arrival"]
    assert (tmp_path / "slack_full.png").stat().st_size > 1000
