"""The FastRP example runs in its short form and reaches the published quality."""

from __future__ import annotations

from nearhop.tests.examples.running import rows_of
from nearhop.tests.support import data_file, needs


@needs("sklearn")
def test_short_form():
    data = data_file("embedding/blogcatalog.mat").parent.parent
    rows = rows_of("fastrp_blogcatalog.py", "--short", "--seeds", "1", data=data)
    assert rows["blogcatalog", "micro-F1 at 10 %"]["ours"] > 0.36
    assert rows["blogcatalog", "macro-F1 at 10 %"]["ours"] > 0.21
    assert rows["blogcatalog", "micro-F1 at 10 %"]["published"] == 0.3723
