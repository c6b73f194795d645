"""The NAT example learns from a part of a real stream, and writes curves for TensorBoard."""

from __future__ import annotations

from nearhop.tests.examples.running import rows_of
from nearhop.tests.support import data_file, needs


def run(script, *options):
    data = data_file("temporal/ml_uci.csv.gz").parent.parent
    rows = rows_of(script, "--short", *options, data=data, one_thread=True)
    return {name: row["ours"] for name, row in rows.items()}, rows


@needs("torch")
def test_short_form():
    ours, rows = run("nat.py", "--dataset", "uci", "--learning-rate", "1e-3")
    assert {what.partition(":")[0] for _, what in ours} == {"transductive", "inductive"}
    for task in ("transductive", "inductive"):
        scores = {what: ours["uci", f"{task}: {what}"] for what in ("AP", "EdgeBank", "CN")}
        assert scores["AP"] > max(scores["EdgeBank"], scores["CN"]) + 3
    assert ours["uci", "transductive: AP"] > 85
    assert rows["uci", "transductive: AP"]["published"] == 94.37


@needs("tensorboard")
@needs("torch")
def test_curves_for_tensorboard(tmp_path):
    options = ("--task", "transductive", "--events", "3000", "--tensorboard", str(tmp_path))
    run("nat.py", *options, "--without", "caches", "--compat", "released")
    assert any(path.name.startswith("events.out") for path in tmp_path.iterdir())


def test_recommendations_from_caches():
    ours, _ = run("nat_recommend.py")
    assert {name for name, _ in ours} == {"enron"}
    assert ours["enron", "recall@10"] > 2.5 * ours["enron", "recall@10 of the most popular"] > 0.2
