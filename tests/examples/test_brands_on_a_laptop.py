"""The community example runs in its short form and reaches the published areas."""

from __future__ import annotations

from nearhop.tests.examples.running import rows_of
from nearhop.tests.support import data_file, needs


@needs("igraph")
def test_short_form():
    data = data_file("communities/email-Eu-core.txt").parent.parent
    data_file("communities/facebook.tar.gz")
    rows = rows_of("brands_on_a_laptop.py", "--short", "--restarts", "1", data=data)
    ours = {name: row["ours"] for name, row in rows.items()}
    assert abs(ours["email-eu-core", "average: area"] - 0.341) < 0.025
    assert abs(ours["email-eu-core", "minrank: area"] - 0.319) < 0.04
    assert rows["email-eu-core", "average: area"]["published"] == 0.341
    assert ours["email-eu-core", "exact: area"] > ours["email-eu-core", "leiden: area"]
    assert ours["ego-facebook", "average: area"] > 0.28
    error = ours["email-eu-core", "RMSE of Jaccard estimates"]
    assert abs(error / ours["email-eu-core", "RMSE of Jaccard estimates, theory"] - 1) < 0.05
