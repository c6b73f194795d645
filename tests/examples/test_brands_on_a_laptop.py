"""The community example runs in its short form and reaches the published areas."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from nearhop.tests.support import ROOT, data_file, needs


@needs("igraph")
def test_short_form():
    data = data_file("communities/email-Eu-core.txt").parent.parent
    data_file("communities/facebook.tar.gz")
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "brands_on_a_laptop.py"), "--short", "--restarts", "1", "--json"],
        env={**os.environ, "NEARHOP_DATA": str(data)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert abs(told["email"]["average"] - 0.341) < 0.025
    assert abs(told["email"]["minrank"] - 0.319) < 0.04
    assert told["email"]["exact"] > told["email"]["leiden"]
    assert told["facebook"]["average"] > 0.28
    assert abs(told["rmse"] / told["theory"] - 1) < 0.05
