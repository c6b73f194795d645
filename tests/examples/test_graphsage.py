"""The GraphSAGE example learns, and two processes train as one with the doubled batch does."""

from __future__ import annotations

import pytest

from nearhop.tests.examples.running import finish, named, start, told
from nearhop.tests.support import data_file, needs


def run(*options, launcher=()):
    data = data_file("planetoid/ind.cora.x").parent.parent
    return start("graphsage.py", "--short", "--json", *options, data=data, launcher=launcher, one_thread=True)


@needs("torch_geometric")
def test_short_form():
    found = told(finish(run()))
    ((name, losses),) = found["losses"].items()
    assert name == "cora"
    assert losses[-1] < 0.7 * losses[0]
    assert named(found)["cora", "test accuracy, %"]["ours"] > 74


@needs("torch_geometric")
def test_short_form_for_links():
    found = told(finish(run("--task", "links", "--batch-size", "256")))
    ours = {name: row["ours"] for name, row in named(found).items()}
    losses = found["losses"]["usair"]
    assert losses[-1] < 0.8 * losses[0]
    assert ours["usair", "test AUC, %"] > 80
    assert 85 < ours["usair", "common neighbours: AUC, %"] < ours["usair", "Adamic-Adar: AUC, %"]


@needs("torch_geometric")
@pytest.mark.parametrize(("task", "batch_size"), [("nodes", 40), ("links", 500)])
def test_two_processes_have_the_loss_of_one_with_the_doubled_batch(task, batch_size):
    options = ["--epochs", "3", "--evaluate", "0", "--dropout", "0", "--disjoint", "--task", task, "--batch-size"]
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone")
    started = run(*options, str(batch_size)), run(*options, str(batch_size // 2), launcher=launcher)
    one, two = (told(finish(process)) for process in started)
    assert (one["processes"], two["processes"]) == (1, 2)
    ((name, losses),) = one["losses"].items()
    assert len(losses) == 3
    assert two["losses"][name] == pytest.approx(losses, rel=1e-5)
