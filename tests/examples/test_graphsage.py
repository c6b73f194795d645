"""The GraphSAGE example learns, and two processes train as one with the doubled batch does."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from nearhop.tests.support import ROOT, data_file, needs

SCRIPT = str(ROOT / "examples" / "graphsage.py")


def start(command):
    data = data_file("planetoid/ind.cora.x").parent.parent
    environment = {**os.environ, "NEARHOP_DATA": str(data), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *command], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def result(process):
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-3000:]
    return json.loads(out.splitlines()[-1])


@needs("torch_geometric")
def test_short_form():
    found = result(start([SCRIPT, "--short", "--json"]))
    (row,) = found["rows"]
    assert row["dataset"] == "cora"
    assert row["losses"][-1] < 0.7 * row["losses"][0]
    assert row["test_accuracy"] > 74


@needs("torch_geometric")
def test_short_form_for_links():
    (row,) = result(start([SCRIPT, "--task", "links", "--short", "--json", "--batch-size", "256"]))["rows"]
    assert row["dataset"] == "usair"
    assert row["losses"][-1] < 0.8 * row["losses"][0]
    assert row["test_auc"] > 80
    assert 85 < row["common_neighbours_auc"] < row["adamic_adar_auc"]


@needs("torch_geometric")
@pytest.mark.parametrize(("task", "batch_size"), [("nodes", 40), ("links", 500)])
def test_two_processes_have_the_loss_of_one_with_the_doubled_batch(task, batch_size):
    options = [SCRIPT, "--short", "--json", "--epochs", "3", "--evaluate", "0", "--dropout", "0", "--disjoint"]
    options += ["--task", task, "--batch-size"]
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    started = start([*options, str(batch_size)]), start([*launcher, *options, str(batch_size // 2)])
    one, two = map(result, started)
    assert (one["processes"], two["processes"]) == (1, 2)
    assert len(one["rows"][0]["losses"]) == 3
    assert two["rows"][0]["losses"] == pytest.approx(one["rows"][0]["losses"], rel=1e-5)
