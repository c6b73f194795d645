"""Whatever edges are written, in whatever layout: they are read back as they were, or the reader asks."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nearhop
from nearhop.graphlib.errors import IngestError
from nearhop.tests.support import examples

ingest: Any = nearhop.ingest

_WORDS = st.text(st.sampled_from("abc7#%;,|: é'\"\\_-"), min_size=1, max_size=6).filter(
    lambda word: word.strip(" \t") == word
)
_NUMBERS = st.integers(0, 30).map(str)
_LAYOUTS = st.fixed_dictionaries(
    {
        "delimiter": st.sampled_from([",", "\t", ";", "|"]),
        "header": st.sampled_from([None, ("src", "dst"), ("dst", "src"), ("from", "to")]),
        "above": st.sampled_from(["", "# made today\n", "\n", "% a, b\n\n"]),
        "end": st.sampled_from(["\n", "\r\n"]),
        "encoding": st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    }
)


def written(pairs, layout):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=layout["delimiter"], lineterminator=layout["end"])
    if layout["header"]:
        writer.writerow(layout["header"])
    writer.writerows(pairs)
    return (layout["above"] + out.getvalue()).encode(layout["encoding"])


@pytest.mark.filterwarnings("ignore:ingest. ids such as")
@examples(25)
@given(
    st.lists(st.tuples(_WORDS, _WORDS), min_size=1, max_size=6)
    | st.lists(st.tuples(_NUMBERS, _NUMBERS), min_size=1, max_size=6),
    _LAYOUTS,
    st.booleans(),
)
def test_edges_are_read_back_or_asked_for(tmp_path_factory, pairs, layout, told):
    path = tmp_path_factory.mktemp("f") / "edges.txt"
    path.write_bytes(written(pairs, layout))
    options = {}
    if told:  # with all of it said, nothing is left to ask
        options = {"delimiter": layout["delimiter"], "quote": '"', "header": layout["header"] is not None}
        options["comment"] = layout["above"].strip()[:1]
    elif not layout["header"] and all(word.isdecimal() for pair in pairs[1:] for word in pair):
        options = {"header": False}  # texts above numbers are names by the documented procedure
    try:
        store = ingest(path, ids="text", directed=True, **options)
    except IngestError as error:
        problem = str(error)
    else:
        problem = ""
    if problem:
        assert not told or "comment" in problem or any(word[0] in "#%" for word, _ in pairs), problem
        assert "\n" not in problem
        return
    edges, ids = store.edge_list(), store.ids()
    found = list(zip(ids[edges.src].tolist(), ids[edges.dst].tolist(), strict=True))
    expected = [(b, a) for a, b in pairs] if layout["header"] == ("dst", "src") else pairs
    marked = layout["above"].strip()[:1]
    if told and marked:  # what begins with the mark that was named is a comment
        expected = [pair for pair, given in zip(expected, pairs, strict=True) if not given[0].startswith(marked)]
    assert found == expected, store.ingest_report


@pytest.mark.parametrize("mark", ["#", "%"])
def test_an_id_that_is_a_comment_mark_is_not_dropped(tmp_path, mark):
    for rows in (f"{mark}\t7", f"{mark}\ta\n8\tb"):
        path = tmp_path / "rows.txt"
        path.write_text(f"src\tdst\n{rows}\n")
        with pytest.raises(IngestError, match="may be a comment or a row"):
            ingest(path, ids="text", directed=True)
        assert ingest(path, ids="text", directed=True, comment="").ids().tolist()[0] == mark
