"""Timing before routing in its short form: local delays along levels beat depth and load on a circuit never seen."""

from __future__ import annotations

import json

from nearhop import datasets
from nearhop.tests.support import data_file, needs, run_example


@needs("torch")
def test_short_form(tmp_path):
    for name in ("tau2015-c432", "tau2015-s386", "tau2015-s344"):
        for path in datasets.info(name).files:
            folder = data_file(path).parents[2]
    kept = tmp_path / "scores.jsonl"
    options = ("--threads", "1", "--variants", "full", "linear", "--pictures", str(tmp_path), "--results", str(kept))
    options = (*options, "--unlabelled", "tau2015-c432")
    rows = run_example("timing.py", folder, *options)
    assert rows["full: R2 of arrival"] > 0.9 > 0.5 > rows["linear: R2 of arrival"]
    assert (tmp_path / "slack_full.png").stat().st_size > 1000
    for run in map(json.loads, kept.read_text().splitlines()):
        assert run["pretrained_on"] == ["tau2015-c432", "tau2015-s386", "tau2015-s344"]
        assert run["scores"]["tau2015-s344"]["arrival"] == rows[f"{run['variant']}: R2 of arrival"]
    assert len(kept.read_text().splitlines()) == 2
