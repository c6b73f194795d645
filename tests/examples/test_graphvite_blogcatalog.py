"""The GraphVite example runs in its short form and comes near the published quality."""

from __future__ import annotations

from nearhop.tests.examples.running import rows_of
from nearhop.tests.support import data_file


def test_short_form():
    data = data_file("embedding/blogcatalog.mat").parent.parent
    rows = rows_of("graphvite_blogcatalog.py", "--short", data=data)
    assert rows["blogcatalog", "micro-F1 at 20 %"]["ours"] > 0.31
    assert rows["blogcatalog", "macro-F1 at 20 %"]["ours"] > 0.1
    assert rows["blogcatalog", "AUC"]["ours"] > 0.875
    assert rows["blogcatalog", "AUC"]["published"] == 0.899933
