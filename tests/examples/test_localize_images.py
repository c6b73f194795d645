"""Images found by their descriptors, in the example's short form."""

from __future__ import annotations

import importlib.util

from nearhop.tests.examples.running import rows_of
from nearhop.tests.support import data_file


def test_short_form(tmp_path):
    folder = data_file("cann/entry-p10.npz").parents[1]
    words = ("--short", "--seeds", "1", "--datasets", "entry-p10", "--html", str(tmp_path / "found.html"))
    found = rows_of("localize_images.py", *words, data=folder)
    rows = {what: row["ours"] for (_, what), row in found.items()}
    for k in (3, 5):
        exact = rows[f"CANN exact, recall@{k}"]
        assert rows[f"CANN grids, recall@{k}"] >= exact - 0.07
        assert rows[f"CANN range, recall@{k}"] >= exact - 0.01
        assert exact > 0.6
    if importlib.util.find_spec("cv2") is not None:
        assert rows["PnP, within 0.25 m and 2 degrees"] > 0.8
    written = (tmp_path / "found.html").read_text(encoding="utf-8")
    assert written.count("<svg") == 18
    assert written.count(" matches, overlap 0.") + written.count(" matches, overlap 1.") == 36  # captions and labels
