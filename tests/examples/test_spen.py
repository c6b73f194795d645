"""The SPEN example trains all three models, prints every rule by its name, and goes on where it was interrupted."""

from __future__ import annotations

import json

from nearhop.tests.examples.running import rows_of
from nearhop.tests.support import data_file, needs


@needs("torch")
def test_short_form(tmp_path):
    data = data_file("tu/MUTAG.txt.gz").parent.parent
    saved = tmp_path / "runs.json"
    options = ("--short", "--models", "spen", "gin", "ign", "--validation", "--epochs", "3", "--save", str(saved))
    first = rows_of("spen.py", *options, data=data, one_thread=True)
    rules = ("last10", "best_mean_curve, optimistic", "best_per_fold, optimistic", "nested")
    named = [("mutag", f"{m}, {rule}, 2 folds, accuracy %") for m in ("spen", "gin", "ign") for rule in rules]
    assert list(first) == named
    assert all(40 <= row["ours"] <= 100 for row in first.values())
    assert first[named[0]]["published"] == 89.5
    assert first[named[5]]["published"] == 89.4
    for at in (0, 4, 8):
        assert first[named[at + 2]]["ours"] >= first[named[at + 1]]["ours"]
    kept = json.loads(saved.read_text())
    assert len(kept) == 6
    lost = next(key for key in kept if "spen fold 1" in key)
    saved.write_text(json.dumps({key: value for key, value in kept.items() if key != lost}))
    assert rows_of("spen.py", *options, data=data, one_thread=True) == first
