"""Ingest: what comes out equals what went in, for every source, id rule and column kind."""

from __future__ import annotations

import gzip
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

import nearhop
from nearhop.graphlib.errors import IngestError, InvalidInput, InvalidType, StoreExists, StoreMissing
from nearhop.graphlib.sizes import parse_bytes
from nearhop.tests.support import data_file, examples, needs

ingest: Any = nearhop.ingest

SRC = np.array([0, 2, 1, 3, 3], np.int64)
DST = np.array([1, 0, 2, 0, 3], np.int64)
WEIGHT = np.array([0.5, 1.0, 2.0, 0.25, 8.0])


def table(**more):
    return pa.table({"src": SRC, "dst": DST, **more})


def check(store, *, directed=False):
    edges = store.edge_list()
    assert edges.src.tolist() == SRC.tolist()
    assert edges.dst.tolist() == DST.tolist()
    assert store.num_nodes == 4
    assert store.ids() is None
    assert store.directed is directed


def write(path, form):
    rows = list(zip(SRC.tolist(), DST.tolist(), strict=True))
    if form == "parquet":
        pq.write_table(table(), path)
    elif form in ("arrow", "feather"):
        import pyarrow.feather

        pyarrow.feather.write_feather(table(), path, compression="lz4")
    elif form == "stream":
        with pa.ipc.new_stream(path, table().schema) as out:
            out.write_table(table())
    elif form == "npy":
        np.save(path, np.stack([SRC, DST], 1))
    elif form == "npz":
        np.savez(path, src=SRC, dst=DST)
    else:
        text = {
            "csv": "src,dst\n" + "".join(f"{a},{b}\n" for a, b in rows),
            "tsv": "".join(f"{a}\t{b}\n" for a, b in rows),
            "txt": "# nodes 4\n% edges\n" + "".join(f"{a} {b}\n" for a, b in rows),
            "snap": "# one\n# FromNodeId\tToNodeId\n" + "".join(f"{a}\t{b}\n" for a, b in rows),
            "ragged": "".join(f" {a}  {b}\t\n\n" for a, b in rows),
            "crlf": "a;b\r\n" + "".join(f"{a};{b}\r\n" for a, b in rows),
            "comments": "#x\n" + "".join(f"{a} {b}\n# c\n" for a, b in rows),
        }[form]
        with gzip.open(path, "wt") if path.suffix == ".gz" else path.open("w", newline="") as out:
            out.write(text)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("e.parquet", "parquet"),
        ("e.arrow", "arrow"),
        ("e.feather", "feather"),
        ("e.ipc", "stream"),
        ("e.npy", "npy"),
        ("e.npz", "npz"),
        ("e.csv", "csv"),
        ("e.csv.gz", "csv"),
        ("e.tsv", "tsv"),
        ("e.tsv.gz", "tsv"),
        ("e.txt", "txt"),
        ("e.txt", "snap"),
        ("e.edges", "ragged"),
        ("e.txt.gz", "ragged"),
        ("e.dat", "crlf"),
        ("e.el", "comments"),
    ],
)
def test_every_file_gives_the_same_edges(tmp_path, name, form):
    write(tmp_path / name, form)
    check(ingest(tmp_path / name))
    stored = ingest(str(tmp_path / name), tmp_path / "out.nh")
    check(stored)
    assert stored.path == tmp_path / "out.nh"
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, "out.nh"])


@pytest.mark.parametrize(
    "source",
    [
        (SRC, DST),
        np.stack([SRC, DST], 1),
        np.stack([SRC, DST]),
        np.stack([SRC, DST]).astype(np.uint8),
        {"u": SRC, "v": DST},
        list(zip(SRC.tolist(), DST.tolist(), strict=True)),
        table(),
        table().to_batches()[0],
    ],
    ids=["pair", "(E, 2)", "(2, E)", "uint8", "mapping", "list", "arrow", "batch"],
)
def test_every_object_gives_the_same_edges(source):
    check(ingest(source))


@needs("pandas")
def test_pandas():
    store = ingest(table(w=WEIGHT).to_pandas(), weight="w")
    check(store)
    assert store.edge_list().weight.tolist() == WEIGHT.tolist()


@needs("polars")
def test_polars():
    import polars

    check(ingest(polars.DataFrame({"src": SRC, "dst": DST})))
    named = ingest(polars.DataFrame({"src": ["b", "a"], "dst": ["c", "b"]}))
    assert named.ids().tolist() == ["a", "b", "c"]


def test_scipy_and_its_npz(tmp_path):
    matrix = sp.csr_array((WEIGHT, (SRC, DST)), shape=(6, 6))
    sp.save_npz(tmp_path / "m.npz", matrix)
    for source in (matrix, matrix.tocoo(), matrix.tocsc(), tmp_path / "m.npz"):
        store = ingest(source)
        assert store.directed
        assert store.num_nodes == 6
        edges = store.edge_list()
        back = sp.coo_array((edges.weight, (edges.src, edges.dst)), shape=(6, 6))
        assert np.array_equal(back.toarray(), matrix.toarray())


@pytest.mark.parametrize(("kind", "directed"), [("general", True), ("symmetric", False)])
def test_matrix_market(tmp_path, kind, directed):
    lines = "".join(f"{a + 1}  {b + 1} {w}\n" for a, b, w in zip(SRC, DST, WEIGHT, strict=True))
    (tmp_path / "m.mtx").write_text(f"%%MatrixMarket matrix coordinate real {kind}\n% text\n4 4 5\n{lines}")
    store = ingest(tmp_path / "m.mtx")
    check(store, directed=directed)
    assert store.edge_list().weight.tolist() == WEIGHT.tolist()
    with gzip.open(tmp_path / "p.mtx.gz", "wt") as out:
        out.write("%%MatrixMarket matrix coordinate pattern general\n7 7 1\n1 2\n")
    small = ingest(tmp_path / "p.mtx.gz")
    assert (small.num_nodes, small.num_edges, small.edge_list().weight) == (7, 1, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello\n1 1 1\n", "line 1: a MatrixMarket file begins"),
        ("%%MatrixMarket matrix array real general\n1 1\n", "needs? 'matrix coordinate'"),
        ("%%MatrixMarket matrix coordinate complex general\n1 1 0\n", "complex values"),
        ("%%MatrixMarket matrix coordinate real skew-symmetric\n1 1 0\n", "skew-symmetric"),
        ("%%MatrixMarket matrix coordinate real general\n2 3 0\n", "2 x 3 matrix"),
        (
            "%%MatrixMarket matrix coordinate pattern general\n2 2 1\n1 3\n",
            "m.mtx, line 3: dst 'column' is 3, which is outside 1..2",
        ),
        (
            "%%MatrixMarket matrix coordinate pattern general\n2 2 1\n0 1\n",
            "m.mtx, line 3: src 'row' is 0, which is outside 1..2",
        ),
        ("%%MatrixMarket matrix coordinate real general\n", "ends before its size line"),
    ],
)
def test_matrix_market_errors(tmp_path, text, message):
    (tmp_path / "m.mtx").write_text(text)
    with pytest.raises(IngestError, match=message):
        ingest(tmp_path / "m.mtx")


def test_folder_and_glob_keep_the_order_of_files_and_rows(tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    expected = []
    for part in range(3):
        ends = np.arange(part * 1000, part * 1000 + 1000)
        pq.write_table(pa.table({"src": ends, "dst": ends[::-1]}), folder / f"part-{part}.parquet")
        (folder / f"part-{part}.csv").write_text("src,dst\n" + "".join(f"{a},{a}\n" for a in ends))
        expected.append(ends)
    with pytest.raises(IngestError, match="3 parquet and 3 text files"):
        ingest(folder)
    alone = tmp_path / "alone"
    alone.mkdir()
    for part in folder.glob("*.parquet"):
        (alone / part.name).write_bytes(part.read_bytes())
    for source in (alone, str(folder / "*.parquet"), folder / "*.csv"):
        assert np.array_equal(ingest(source).edge_list().src, np.concatenate(expected))


def test_row_order_and_memory_maps_at_size(tmp_path):
    rng = np.random.default_rng(5)
    src, dst = rng.integers(0, 50_000, (2, 700_000))
    time = np.arange(700_000)
    pq.write_table(pa.table({"src": src, "dst": dst, "t": time}), tmp_path / "e.parquet", row_group_size=10_000)
    np.save(tmp_path / "e.npy", np.stack([src, dst], 1))
    store = ingest(tmp_path / "e.parquet", tmp_path / "out.nh", time="t", sorted=True)
    assert np.array_equal(store.edge_list().src, src)
    assert np.array_equal(store.edge_list().time, time)
    assert store.edge_list().src.dtype == np.int32
    other = ingest(tmp_path / "e.npy")
    assert np.array_equal(other.edge_list().dst, dst)


# ids


def test_rule_for_integer_ids():
    dense, sparse = [(0, 5), (1, 3)], [(0, 9), (1, 3)]
    assert ingest([(0, 3), (2, 1)]).ids() is None  # exactly 0..3
    assert ingest(dense).ids().tolist() == [0, 1, 3, 5]  # 2 and 4 would be nodes that nobody named
    assert ingest([(1, 2), (3, 4)]).ids().tolist() == [1, 2, 3, 4]
    assert ingest(sparse).ids().tolist() == [0, 1, 3, 9]
    assert ingest(sparse, ids="positions").num_nodes == 10
    assert ingest(sparse, ids="positions", num_nodes=20).num_nodes == 20
    assert ingest(dense, ids="map").ids().tolist() == [0, 1, 3, 5]
    assert ingest([(0, 7), (1, 3), (0, 1)]).ids().tolist() == [0, 1, 3, 7]
    below = ingest([(-1, 0), (1, 2)])
    assert below.ids().tolist() == [-1, 0, 1, 2]


@examples(12)
@given(
    st.lists(st.tuples(st.integers(-50, 50) | st.integers(-(2**63), 2**63 - 1), st.integers(-9, 200)), max_size=40),
    st.sampled_from(["auto", "map"]),
)
def test_integer_ids_survive(pairs, rule):
    src, dst = (np.array([pair[end] for pair in pairs], np.int64) for end in (0, 1))
    store = ingest((src, dst), ids=rule)
    edges = store.edge_list()
    ids = store.ids()
    distinct = np.unique(np.concatenate([src, dst]))
    if ids is None:
        assert np.array_equal(distinct, np.arange(distinct.size))
        ids = np.arange(store.num_nodes)
    else:
        assert np.array_equal(ids, distinct)
    assert np.array_equal(ids[edges.src], src)
    assert np.array_equal(ids[edges.dst], dst)


def test_large_random_ids_survive():
    rng = np.random.default_rng(1)
    names = rng.integers(-(2**63), 2**63 - 1, 20_000)
    src, dst = names[rng.integers(0, 20_000, (2, 300_000))]
    store = ingest((src, dst))
    assert np.array_equal(store.ids()[store.edge_list().src], src)
    assert np.array_equal(store.ids()[store.edge_list().dst], dst)
    assert np.array_equal(store.ids(), np.unique(np.concatenate([src, dst])))


def test_text_ids_are_numbered_in_byte_order(tmp_path):
    names = ["b", "a", "Z", "é", "aa", "日本"]
    rng = np.random.default_rng(2)
    src, dst = ([names[i] for i in some] for some in rng.integers(0, 6, (2, 5000)))
    pq.write_table(pa.table({"src": src, "dst": dst, "n": np.arange(5000)}), tmp_path / "e.parquet")
    store = ingest(tmp_path / "e.parquet", tmp_path / "out.nh")
    ids = store.ids()
    assert ids.tolist() == sorted(names, key=str.encode)
    assert ids[store.edge_list().src].tolist() == src
    assert ids[store.edge_list().dst].tolist() == dst
    assert np.array_equal(store.edges["n"], np.arange(5000))
    assert nearhop.open(tmp_path / "out.nh").lookup(["Z"]).tolist() == [ids.tolist().index("Z")]


def test_text_and_integers_with_map(tmp_path):
    (tmp_path / "e.csv").write_text("src,dst\n1,x\n2,y\n")
    with pytest.raises(IngestError, match=r"e\.csv, line 2: dst 'dst' is 'x', not an integer"):
        ingest(tmp_path / "e.csv")
    assert ingest(tmp_path / "e.csv", ids="map").ids().tolist() == ["1", "2", "x", "y"]


# columns


def test_columns(tmp_path):
    (tmp_path / "e.csv").write_text(
        "from,to,km,day,open,note,lanes\n1,2,1.5,2020-01-01,true,hi,1\n2,0,,2020-01-02 01:00:00,false,ho,\n"
    )
    store = ingest(tmp_path / "e.csv")
    assert sorted(store.edges) == ["day", "km", "lanes", "note", "open"]
    assert store.edges["note"].tolist() == ["hi", "ho"]
    assert store.edges["km"][0] == 1.5
    assert np.isnan(store.edges["km"][1])
    assert np.isnan(store.edges["lanes"][1])
    assert store.edges["open"].tolist() == [True, False]
    assert store.edges["day"].astype("datetime64[h]").astype(str).tolist() == ["2020-01-01T00", "2020-01-02T01"]
    store = ingest(tmp_path / "e.csv", time="DAY", columns=["open"])
    assert list(store.edges) == ["open"]
    assert store.edge_list().time.tolist() == [1577836800_000000, 1577926800_000000]
    assert store.attributes["time_unit"] == "us"
    assert list(ingest(tmp_path / "e.csv", columns=["note"]).edges) == ["note"]


def test_column_dtypes_are_kept():
    columns: dict[str, Any] = {
        "i8": np.array([1, 2], np.int8),
        "u16": np.array([1, 60_000], np.uint16),
        "f4": np.array([0.5, np.nan], np.float32),
        "b": np.array([True, False]),
    }
    store = ingest({"src": np.array([0, 1]), "dst": np.array([1, 2]), **columns})
    for name, values in columns.items():
        assert store.edges[name].dtype == values.dtype
        assert np.array_equal(store.edges[name], values, equal_nan=values.dtype.kind == "f")


def test_src_and_dst_by_name_position_and_default(tmp_path):
    (tmp_path / "e.csv").write_text("id,target,source\n9,1,0\n8,2,1\n")
    assert ingest(tmp_path / "e.csv").edge_list().src.tolist() == [0, 1]
    assert ingest(tmp_path / "e.csv", src=1, dst=2).edge_list().src.tolist() == [1, 2]
    swapped = ingest(tmp_path / "e.csv", src="id", dst="target", ids="positions")
    assert swapped.edge_list().src.tolist() == [9, 8]
    with pytest.raises(IngestError, match="no column 'who' for src; columns: id, target, source"):
        ingest(tmp_path / "e.csv", src="who", dst="target")


def test_header_and_delimiter_can_be_set(tmp_path):
    (tmp_path / "e.txt").write_text("ann|bob\nbob|cy\n")
    assert ingest(tmp_path / "e.txt").num_edges == 2
    assert ingest(tmp_path / "e.txt", header=True).num_edges == 1
    assert ingest(tmp_path / "e.txt", header=False, delimiter="|").num_nodes == 3


# nodes


def test_node_table(tmp_path):
    (tmp_path / "n.csv").write_text("name,year,city\ncy,3,Rome\nann,1,Oslo\nbob,2,\nzoe,4,Paris\n")
    store = ingest([("ann", "bob"), ("cy", "ann")], tmp_path / "s.nh", nodes=tmp_path / "n.csv")
    assert store.ids().tolist() == ["ann", "bob", "cy", "zoe"]
    assert store.nodes["year"].tolist() == [1, 2, 3, 4]
    assert store.nodes["city"].tolist() == ["Oslo", "", "Rome", "Paris"]
    assert store.edge_list().src.tolist() == [0, 2]
    assert store.where("city = 'Rome' OR id = 'bob'").tolist() == [1, 2]


def test_node_table_of_positions_and_of_numbers():
    nodes = {"x": np.array([0.5, 1.5, 2.5]), "key": np.array([2, 0, 1])}
    store = ingest([(0, 1)], nodes=nodes, node_id="key")
    assert (store.ids(), store.nodes["x"].tolist()) == (None, [1.5, 2.5, 0.5])
    nodes["key"] = np.array([20, 0, 10])
    store = ingest([(0, 10)], nodes=nodes, node_id="key")
    assert store.ids().tolist() == [0, 10, 20]
    assert store.nodes["x"].tolist() == [1.5, 2.5, 0.5]
    with pytest.raises(IngestError, match="the list, row 0: dst 'dst' is 11, which is not in the node table"):
        ingest([(0, 11)], nodes=nodes, node_id="key")
    nodes["key"] = np.array([20, 0, 20])
    with pytest.raises(IngestError, match="row 2: node id 'key' 20 occurs a second time"):
        ingest([(0, 20)], nodes=nodes, node_id="key")
    with pytest.raises(IngestError, match=r"row 1: dst 'dst' is 'x', which is not in the node table"):
        ingest([("a", "b"), ("a", "x")], nodes=pa.table({"id": ["a", "b"]}))


# graphs


def test_progress_is_told():
    told = []
    ingest((SRC, DST), progress=lambda what, done: told.append((what, done)))
    assert ("reading", 5) in told


def test_empty_sources(tmp_path):
    assert ingest([]).num_edges == 0
    pq.write_table(pa.table({"src": pa.array([], pa.int64()), "dst": pa.array([], pa.int64())}), tmp_path / "e.parquet")
    assert ingest(tmp_path / "e.parquet", tmp_path / "o.nh").num_nodes == 0
    names = pa.table({"src": pa.array([], pa.string()), "dst": pa.array([], pa.string())})
    assert ingest(names).num_edges == 0


def test_options_that_cannot_be(tmp_path):
    for options, message in (
        ({"ids": "all"}, "ids must be"),
        ({"num_nodes": 9}, "num_nodes goes with"),
        ({"sorted": True}, "name their column with time"),
        ({"node_id": "x"}, "give nodes="),
        ({"src": "src"}, "both src and dst, or neither"),
        ({"memory_limit": "1MB"}, "at least 256 MiB"),
        ({"memory_limit": "lots"}, "must be bytes or a text"),
        ({"columns": "all"}, "columns must be"),
    ):
        with pytest.raises(InvalidInput, match=message):
            ingest(table(), **options)
    with pytest.raises(InvalidType, match="does not read int"):
        ingest(7)
    with pytest.raises(InvalidInput, match=r"\(num_edges, 2\)"):
        ingest(np.zeros((3, 3), int))
    with pytest.raises(StoreMissing, match="there is no file"):
        ingest(tmp_path / "none.csv")
    with pytest.raises(StoreMissing, match="no file matches"):
        ingest(tmp_path / "*.csv")
    (tmp_path / "taken.nh").mkdir()
    with pytest.raises(StoreExists, match="exists"):
        ingest(table(), tmp_path / "taken.nh")


def test_sizes():
    assert parse_bytes("1.5GiB") == 3 << 29
    assert parse_bytes(1 << 30) == 1 << 30


# real data


def test_collegemsg():
    store = ingest(data_file("temporal/CollegeMsg.txt.gz"), time="column2", directed=True, sorted=True)
    assert store.num_edges == 59_835
    used = np.unique(np.concatenate([store.edge_list().src, store.edge_list().dst]))
    assert used.size == 1_899
    assert np.all(np.diff(store.edge_list().time) >= 0)


def test_konect_with_comments():
    store = ingest(data_file("temporal/bitcoinotc.konect.txt.gz"), weight="column2", directed=True)
    assert store.num_edges == 35_592
    assert (store.edge_list().weight.min(), store.edge_list().weight.max()) == (-10, 10)


def test_github_csv():
    store = ingest(data_file("large/github_edges.csv.gz"))
    assert (store.num_nodes, store.num_edges) == (37_700, 289_003)
