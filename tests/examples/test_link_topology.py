"""The example on link prediction runs in its short form and writes its report."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from nearhop.tests.support import ROOT, data_file, needs


@needs("torch")
def test_short_form(tmp_path):
    data = data_file("planetoid/ind.cora.graph").parent.parent
    environment = {**os.environ, "NEARHOP_DATA": str(data), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "examples" / "link_topology.py"), "--short", "--json"]
    command += ["--report", str(tmp_path / "links"), "--models", "gae", "ncn", "buddy"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = {row["what"]: row["ours"] for row in json.loads(done.stdout.splitlines()[-1])["rows"]}
    assert 25 < rows["common_neighbors Hits@100"] < 42  # published: 33.92
    assert rows["katz Hits@100"] > rows["common_neighbors Hits@100"]
    assert rows["ncn Hits@100"] > 15  # a random order gives 9.5
    assert 0.05 < rows["TC^Tr"] < rows["TC^Te"] < 0.3
    assert "recall@20 ~ tc_test" in rows
    assert "<svg" in (tmp_path / "links-cora.html").read_text()
