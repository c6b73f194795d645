"""The local augmentation example trains every model, pairs runs over seeds, and goes on where it was interrupted."""

from __future__ import annotations

import pytest

from nearhop.tests.examples.running import finish, rows_of, start
from nearhop.tests.support import data_file, needs


@pytest.mark.slow
@needs("torch")
def test_short_form(tmp_path):
    data = data_file("planetoid/ind.cora.allx").parent.parent
    every = ("mlp", "sage", "sgc", "sign", "gcn", "gat", "gcnii", "grand", "la-gcn", "la-gat", "la-gcnii", "la-grand")
    options = ("--short", "--epochs", "2", "--by-degree", "--save", str(tmp_path), "--models", *every)
    first = rows_of("local_augmentation.py", *options, data=data, one_thread=True)
    whole = {what.split(",")[0]: row for (_, what), row in first.items() if "degree" not in what}
    assert list(whole) == list(every)
    assert all(5 <= row["ours"] <= 100 for row in whole.values())
    assert (whole["gcn"]["published"], whole["la-gcn"]["published"], whole["mlp"]["published"]) == (81.5, 84.6, None)
    assert any("la-gcn, p = " in what.replace(", accuracy %", "") for _, what in first)
    degrees = [what for _, what in first if what.startswith("la-gcn, degree")]
    assert len(degrees) >= 3
    assert len(list(tmp_path.glob("cora-0-*/seed-0.npz"))) == len(every)
    again = rows_of("local_augmentation.py", *options, data=data, one_thread=True)
    assert again == first


@needs("torch")
def test_a_dataset_without_most_features_is_refused():
    data = data_file("planetoid/ind.pubmed.x").parent.parent
    process = start("local_augmentation.py", "--datasets", "pubmed", data=data)
    with pytest.raises(AssertionError, match=r"pubmed: 1,060 of 19,717 nodes have features"):
        finish(process)
