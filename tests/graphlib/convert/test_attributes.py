"""Attributes of NetworkX graphs: nothing rounded, and what becomes no column is told."""

from __future__ import annotations

import datetime
import importlib
from typing import Any

import numpy as np
import pytest

import nearhop
from nearhop.graphlib.convert.attributes import attribute_columns
from nearhop.graphlib.errors import InvalidInput
from nearhop.tests.support import needs

convert: Any = importlib.import_module("nearhop.graphlib.convert")
LARGE = 2**53 + 1


def column(*values):
    """The column of an attribute with these values, None where there is none, or why there is none."""
    columns, left = attribute_columns([{} if value is None else {"k": value} for value in values])
    return left["k"] if left else columns["k"].tolist()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((LARGE, 1), [LARGE, 1]),
        ((LARGE, None), [str(LARGE), ""]),
        ((np.int64(-LARGE), 0.5), [str(-LARGE), "0.5"]),
        ((2**53, 0.5), [2.0**53, 0.5]),
        ((1e300, 3), [1e300, 3.0]),
        ((2**63, -1), [str(2**63), "-1"]),
        ((2**64 - 1, 0), [2**64 - 1, 0]),
        ((2**70, None), [str(2**70), ""]),
        (([LARGE, 1], None), "float64 would round its integers"),
        (([LARGE, 1], [1, 2]), [[LARGE, 1], [1, 2]]),
        (([3, 4], [0.5, 2.0]), [[3.0, 4.0], [0.5, 2.0]]),
        (([[1], [1, 2]], [1]), "its values do not fit into one array"),
        (("3", 2), "its values do not fit into one array"),
        ((datetime.datetime(2020, 1, 1), None), "its values do not fit into one array"),
        ((np.datetime64("2020", "D"), np.datetime64("2020", "s")), "its values do not fit into one array"),
        ((np.datetime64("2020", "D"), 3), "its values do not fit into one array"),
        (("a\0", "a", None), ["a\0", "a", ""]),
        ((True, False), [True, False]),
    ],
)
def test_columns_of_attributes(values, expected):
    assert column(*values) == expected


def test_names_that_are_no_text_are_told():
    assert attribute_columns([{1: 2}]) == ({}, {"1": "its name is no text"})
    assert attribute_columns([]) == ({}, {})


@needs("networkx")
def test_the_report_tells_what_became_no_column():
    import networkx as nx

    graph = nx.Graph()
    graph.add_node(0, x=1.5, weight=1j)
    graph.add_edge(0, 1, time=datetime.datetime(2020, 1, 1), weight="3", x=1j, k=LARGE)
    graph.add_edge(1, 2, time=datetime.datetime(2020, 1, 2), weight=2)
    store = nearhop.ingest(graph)
    why = "its values do not fit into one array"
    assert store.ingest_report.left_out == {"time": why, "weight": why, "x": why, "nodes: weight": why}
    assert store.edges["k"].tolist() == [str(LARGE), ""]
    assert np.array_equal(store.nodes["x"], [1.5, np.nan, np.nan], equal_nan=True)
    with pytest.raises(InvalidInput, match="time='time': edges have no such attribute of numbers"):
        nearhop.ingest(graph, time="time")


@needs("networkx")
def test_keys_of_parallel_edges_are_told():
    import networkx as nx

    for kind in (nx.MultiGraph, nx.MultiDiGraph):
        graph = kind([(0, 1), (0, 1), (1, 0), (2, 2)])
        assert not nearhop.ingest(graph).ingest_report.left_out
        graph.add_edge(0, 1, key="a")
        assert "keys of parallel edges" in nearhop.ingest(graph).ingest_report.left_out


@needs("networkx")
def test_dates_there_and_back():
    store = nearhop.GraphStore.from_edges([0], [1])
    given = {
        "ns": np.array(["2020-01-01T00:00:00.000000001", "NaT"], "M8[ns]"),
        "day": np.array(["NaT", "20000-01-01"], "M8[D]"),
        "none": np.array(["NaT", "NaT"], "M8[s]"),
        "pair": np.array([["2020", "NaT"], ["2021", "2022"]], "M8[ms]"),
    }
    for name, values in given.items():
        store.nodes[name] = values
    store.edges["t"] = given["ns"][:1]
    graph = convert.to_networkx(store)
    assert graph.edges[0, 1]["t"] == given["ns"][0]
    back = nearhop.ingest(graph)
    for name, values in given.items():
        assert back.nodes[name].dtype == values.dtype
        assert np.array_equal(back.nodes[name].view(np.int64), values.view(np.int64))
    assert back.edges["t"].tolist() == given["ns"][:1].tolist()
    del graph.nodes[1]["day"], graph.nodes[0]["pair"]
    again = nearhop.ingest(graph)
    assert np.isnat(again.nodes["day"]).all()
    assert np.isnat(again.nodes["pair"][0]).all()
    timed = nearhop.ingest(graph, time="t")
    assert (timed.edge_list().time.tolist(), timed.attributes["time_unit"]) == (given["ns"][:1].tolist(), "ns")
