"""The YouTube example runs on its generated graph, and reads files of the crawl's form."""

from __future__ import annotations

import gzip
import subprocess
import sys

from nearhop.tests.examples.running import finish, imported, named, start, told
from nearhop.tests.support import ROOT

SCRIPT = ROOT / "examples" / "graphvite_youtube.py"


def test_short_form():
    found = told(finish(start("graphvite_youtube.py", "--short", "--device", "cpu", "--json")))
    assert found["nodes"] == 11_385
    assert named(found)["generated", "line: micro-F1 at 10 %, in %"]["ours"] > 15  # 47 groups: guessing gives 2


def test_reading(tmp_path):
    example = imported("graphvite_youtube.py")
    with gzip.open(tmp_path / example.LINKS, "wt") as stream:
        stream.write("1\t2\n2\t1\n5\t9\n2\t9\n")
    with gzip.open(tmp_path / example.GROUPS, "wt") as stream:
        stream.write(
            "".join(f"{user}\t{group}\n" for group in range(60) for user in ([5, 9, 7] if group == 3 else [1]))
        )
    store, labels = example.read(tmp_path)
    assert (store.num_nodes, store.num_edges) == (4, 4)
    assert labels.shape == (4, 47)
    assert labels[:, 0].tolist() == [0, 0, 1, 1]
    assert labels[0, 1:].all()


def test_missing_files_are_named(tmp_path):
    words = [sys.executable, str(SCRIPT), "--folder", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "youtube-links.txt.gz is missing; use --download" in done.stderr
