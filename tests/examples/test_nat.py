"""The NAT example learns from a part of a real stream, and writes curves for TensorBoard."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from nearhop.tests.support import ROOT, data_file, needs


def run(script, *options):
    data = data_file("temporal/ml_uci.csv.gz").parent.parent
    environment = {**os.environ, "NEARHOP_DATA": str(data), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "examples" / script), "--short", "--json", *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@needs("torch")
def test_short_form():
    found = run("nat.py", "--learning-rate", "1e-3")
    rows = {row["task"]: row["scores"] for row in found["rows"]}
    assert set(rows) == {"transductive", "inductive"}
    for scores in rows.values():
        assert scores["AP"][0] > max(scores["EdgeBank"][0], scores["CN"][0]) + 3
    assert rows["transductive"]["AP"][0] > 85


@needs("tensorboard")
@needs("torch")
def test_curves_for_tensorboard(tmp_path):
    options = ("--task", "transductive", "--events", "3000", "--tensorboard", str(tmp_path))
    run("nat.py", *options, "--without", "caches", "--compat", "released")
    assert any(path.name.startswith("events.out") for path in tmp_path.iterdir())


def test_recommendations_from_caches():
    (row,) = run("nat_recommend.py")["rows"]
    assert row["dataset"] == "enron"
    assert row["recall"] > 2.5 * row["recall of the most popular"] > 0.2
