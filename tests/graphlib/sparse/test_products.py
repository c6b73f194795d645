"""Sparse times sparse: equal to the definition for every semiring, mask, selection, dtype and number of threads."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from nearhop import GraphStore
from nearhop.graphlib.errors import InvalidInput, InvalidType, StoreCorrupt, StoreExists, StoreMissing
from nearhop.graphlib.sparse import CSR, estimate, open_product, spgemm, transpose
from nearhop.graphlib.sparse.products import multiply_cpu, plan, run
from nearhop.tests.reference.products import best_of_row, product
from nearhop.tests.support import examples

SEMIRINGS = ("plus_times", "plus_pair", "any_pair", "max_times", "min_plus")


def entries(rng, n, m, count):
    """Random entries with repeats, as a list and as a CSR with unsorted rows; values are small integers."""
    rows, cols = np.sort(rng.integers(0, n, count)), rng.integers(0, m, count)
    values = rng.integers(-3, 4, count).astype(np.float32)
    indptr = np.searchsorted(rows, np.arange(n + 1)).astype(np.int64)
    return (rows, cols, values, (n, m)), CSR(indptr, cols.astype(np.int32), values, m)


def dense(C):
    """Values and structure of a CSR without repeats."""
    values, structure = np.zeros((C.num_rows, C.num_cols)), np.zeros((C.num_rows, C.num_cols), bool)
    rows = np.repeat(np.arange(C.num_rows), np.diff(C.indptr))
    assert np.unique(rows * C.num_cols + C.indices).shape[0] == C.num_entries
    structure[rows, C.indices] = True
    values[rows, C.indices] = 1 if C.values is None else C.values
    return values, structure


def same(C, values, structure):
    found, at = dense(C)
    assert (at == structure).all()
    assert (found[structure] == (1 if C.values is None else values[structure])).all()


def is_sorted(C):
    return all((np.diff(C.row(i)[0]) > 0).all() for i in range(C.num_rows))


def identical(a, b):
    assert (a.indptr == b.indptr).all()
    assert (a.indices == b.indices).all()
    assert (a.values is None and b.values is None) or a.values.tobytes() == b.values.tobytes()


@examples(60)
@given(
    n=st.integers(1, 12),
    k=st.integers(1, 12),
    m=st.integers(1, 80),
    counts=st.tuples(st.integers(0, 60), st.integers(0, 150)),
    semiring=st.sampled_from(SEMIRINGS),
    masked=st.sampled_from(("none", "keep", "complement", "pairs")),
    seed=st.integers(0, 999),
)
def test_equals_the_definition(n, k, m, counts, semiring, masked, seed):
    rng = np.random.default_rng(seed)
    a, A = entries(rng, n, k, counts[0])
    b, B = entries(rng, k, m, counts[1])
    values, structure = product(a, b, semiring)
    options = {}
    if masked != "none":
        (rows, cols, _, _), M = entries(rng, n, m, int(rng.integers(0, n * m + 1)))
        allowed = np.zeros((n, m), bool)
        allowed[rows, cols] = True
        structure = structure & (~allowed if masked == "complement" else allowed)
        options = {"mask": (rows, cols) if masked == "pairs" else M, "complement": masked == "complement"}
    found = spgemm(A, B, semiring=semiring, **options)
    same(found, values, structure)
    assert is_sorted(found)
    same(spgemm(A, B, semiring=semiring, sorted=False, **options), values, structure)


@examples(40)
@given(
    semiring=st.sampled_from(("plus_times", "plus_pair", "max_times", "min_plus")),
    k=st.integers(1, 8),
    threshold=st.none() | st.integers(-4, 4),
    seed=st.integers(0, 999),
)
def test_keeps_the_best_of_every_row(semiring, k, threshold, seed):
    rng = np.random.default_rng(seed)
    a, A = entries(rng, 8, 9, 40)
    b, B = entries(rng, 9, 30, 120)
    values, structure = product(a, b, semiring)
    kept = best_of_row(values, structure, k, threshold, smallest=semiring == "min_plus")
    found = spgemm(A, B, semiring=semiring, top_k=k, threshold=threshold)
    same(found, values, kept)
    assert is_sorted(found)
    if threshold is not None:
        same(
            spgemm(A, B, semiring=semiring, threshold=threshold),
            values,
            best_of_row(values, structure, 30, threshold, smallest=semiring == "min_plus"),
        )


def random_csr(n, m, per_row, seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return sp.random(n, m, per_row / m, format="csr", dtype=dtype, random_state=rng)


@pytest.mark.parametrize("shape", ["tall", "wide", "hub"])
def test_equals_scipy_on_rows_that_need_bitmaps_and_many_tasks(shape, monkeypatch):
    monkeypatch.setattr(plan, "TASK_BYTES", 1 << 11)
    A = random_csr(3000, 400, 8) if shape == "tall" else random_csr(300, 3000, 40)
    B = random_csr(A.shape[1], 900 if shape == "tall" else 5000, 30, seed=1)
    if shape == "hub":
        A = sp.vstack([A, np.ones((1, A.shape[1]), np.float32), A]).tocsr()
    C = spgemm(A, B)
    expected = (A @ B).tocsr()
    expected.sort_indices()
    assert (C.indptr == expected.indptr).all()
    assert (C.indices == expected.indices).all()
    np.testing.assert_allclose(C.values, expected.data, rtol=1e-5)
    assert is_sorted(C)


@pytest.mark.parametrize("semiring", ["plus_times", "any_pair"])
def test_hash_and_dense_accumulators_give_the_same_bits(semiring, monkeypatch):
    A, B = random_csr(500, 300, 6), random_csr(300, 7000, 25, seed=1)
    by_place = spgemm(A, B, semiring=semiring)
    monkeypatch.setattr(plan, "_HASHED_COLUMNS", 1)
    identical(by_place, spgemm(A, B, semiring=semiring))
    monkeypatch.setattr(plan, "_DENSE_COLUMNS", 1)
    monkeypatch.setattr("nearhop.graphlib.sparse.products.row_cpu._MANY", np.uint64(64))
    identical(by_place, spgemm(A, B, semiring=semiring))


@pytest.mark.parametrize("options", [{}, {"semiring": "any_pair"}, {"mask": True}, {"sorted": False}])
@pytest.mark.parametrize("hashed", [False, True])
def test_places_of_32_bits_begin_anew_when_they_are_used_up(options, hashed, monkeypatch):
    """Also between two calls of the kernel: here after every few thousand entries."""
    A = random_csr(2000, 900, 12)
    options = options | ({"mask": random_csr(2000, 900, 200, seed=3)} if "mask" in options else {})
    B = random_csr(900, 900, 12, seed=1)
    if hashed:
        monkeypatch.setattr(plan, "_HASHED_COLUMNS", 1)
        monkeypatch.setattr(plan, "_DENSE_COLUMNS", 1)
    expected = spgemm(A, B, **options)
    monkeypatch.setattr(plan, "TASK_BYTES", 1 << 11)
    first = run._Work._new_scratch

    def nearly_used_up(work):
        scratch = first(work)
        scratch.state[multiply_cpu.WRITTEN] = multiply_cpu._LAST_PLACE - 3000
        return scratch

    monkeypatch.setattr(run._Work, "_new_scratch", nearly_used_up)
    for threads in (1, 2):
        identical(expected, spgemm(A, B, threads=threads, **options))


@pytest.mark.parametrize("options", [{}, {"top_k": 5}, {"semiring": "max_times"}, {"sorted": False}])
def test_same_bits_at_any_thread_count(options):
    A = random_csr(4000, 3000, 12)
    B = random_csr(3000, 4000, 12, seed=1)
    one = spgemm(A, B, threads=1, **options)
    identical(one, spgemm(A, B, threads=2, **options))


def test_masks_by_intersection_and_by_products_agree():
    A = random_csr(400, 400, 20)
    A.data[:] = np.round(A.data * 8)
    few = random_csr(400, 400, 2, seed=3)
    for semiring in SEMIRINGS:
        by_intersection = spgemm(A, A, semiring=semiring, mask=few)
        everything = {"any_pair": None, "min_plus": 1e9}.get(semiring, -1e9)  # any threshold goes through products
        by_products = spgemm(A, A, semiring=semiring, mask=few, threshold=everything)
        identical(by_intersection, by_products)


def test_triangles_are_counted_by_a_mask():
    networkx = pytest.importorskip("networkx")
    graph = networkx.gnp_random_graph(120, 0.2, seed=1)
    low = sp.tril(networkx.to_scipy_sparse_array(graph, dtype=np.float32), format="csr")
    counted = spgemm(low, low, semiring="plus_pair", mask=low)
    assert int(counted.values.sum()) == sum(networkx.triangles(graph).values()) // 3


@examples(25)
@given(n=st.integers(1, 60), m=st.integers(0, 300), semiring=st.sampled_from(SEMIRINGS), threads=st.integers(1, 2))
def test_symmetric_products_are_mirrored(n, m, semiring, threads):
    rng = np.random.default_rng(n * 1000 + m)
    store = GraphStore.from_edges(*rng.integers(0, n, (2, m)), num_nodes=n, weight=rng.integers(1, 5, m))
    rows = store.csr()
    identical(
        spgemm(rows, rows, semiring=semiring, symmetric=True, threads=threads), spgemm(rows, rows, semiring=semiring)
    )


@pytest.mark.parametrize(
    ("kinds", "asked", "expected"),
    [
        ((np.float32, np.float32), None, np.float32),
        ((np.float32, np.float64), None, np.float64),
        ((np.int32, np.int64), None, np.int64),
        ((bool, np.int8), None, np.int64),
        ((np.int64, np.float32), None, np.float64),
        ((np.int32, np.int32), np.int32, np.int32),
        ((np.int32, np.int32), np.float32, np.float32),
    ],
)
def test_dtypes(kinds, asked, expected):
    A = sp.csr_array(np.array([[1, 2], [0, 3]]).astype(kinds[0]))
    B = sp.csr_array(np.array([[1, 0], [4, 5]]).astype(kinds[1]))
    C = spgemm(A, B, dtype=asked)
    assert C.values.dtype == expected
    assert (C.to_scipy().toarray() == A.toarray().astype(int) @ B.toarray().astype(int)).all()


def test_wide_matrices_have_int64_columns(tmp_path):
    B = CSR(np.array([0, 2]), np.array([5, 1 << 40]), None, 1 << 41)
    A = CSR(np.array([0, 1]), np.array([0], np.int32), None, 1)
    for options, expected in (({}, [5, 1 << 40]), ({"mask": ([0, 0], [1 << 40, 6])}, [1 << 40]), ({"top_k": 1}, [5])):
        C = spgemm(A, B, **options)
        assert C.indices.dtype == np.int64
        assert C.indices.tolist() == expected
    on_disk = spgemm(A, B, out=tmp_path / "wide")
    assert on_disk.indices.tolist() == [5, 1 << 40]
    assert on_disk.num_cols == 1 << 41


def test_unweighted_and_empty():
    ring = GraphStore.from_edges(np.arange(5), (np.arange(5) + 1) % 5).csr()
    assert spgemm(ring, ring).values.dtype == np.float32
    assert (spgemm(ring, ring).to_scipy().toarray().sum(axis=1) == 4).all()
    nothing = GraphStore.from_edges([], [], num_nodes=4).csr()
    assert spgemm(nothing, nothing).num_entries == 0
    assert spgemm(nothing, nothing, mask=([1], [2])).num_entries == 0
    zero = CSR(np.zeros(1, np.int64), np.empty(0, np.int32), None, 0)
    assert spgemm(zero, zero).num_rows == 0


def test_explicit_zeros_and_read_only_arrays_stay():
    A = CSR(np.array([0, 1]), np.array([0], np.int32), np.zeros(1, np.float32), 1)
    for array in (A.indptr, A.indices, A.values):
        array.flags.writeable = False
    C = spgemm(A, A)
    assert C.values.tolist() == [0.0]


def test_transpose_equals_scipy():
    A = random_csr(50, 70, 9)
    assert (transpose(A).to_scipy() != A.T).nnz == 0


class TestOnDisk:
    @pytest.mark.parametrize("semiring", ["plus_times", "any_pair"])
    def test_equals_the_one_in_memory(self, tmp_path, semiring, monkeypatch):
        monkeypatch.setattr(plan, "TASK_BYTES", 1 << 11)
        A = random_csr(500, 500, 20)
        written = spgemm(A, A, semiring=semiring, out=tmp_path / "square")
        identical(written, spgemm(A, A, semiring=semiring))
        identical(open_product(tmp_path / "square"), written)
        assert np.load(tmp_path / "square" / "indices.npy").shape == (written.num_entries,)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["square"]

    def test_empty(self, tmp_path):
        nothing = GraphStore.from_edges([], [], num_nodes=4).csr()
        assert spgemm(nothing, nothing, out=tmp_path / "empty").num_entries == 0

    def test_refuses_a_taken_or_missing_place(self, tmp_path):
        A = random_csr(5, 5, 2)
        with pytest.raises(StoreExists, match="exists already"):
            spgemm(A, A, out=tmp_path)
        with pytest.raises(StoreMissing, match="make it first"):
            spgemm(A, A, out=tmp_path / "no" / "where")
        with pytest.raises(StoreMissing):
            open_product(tmp_path / "nothing")

    def test_a_failed_write_leaves_nothing(self, tmp_path, monkeypatch):
        from nearhop.graphlib.disk import files

        def full(descriptor, data):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(files, "write", full)
        A = random_csr(5, 5, 2)
        with pytest.raises(OSError, match="No space"):
            spgemm(A, A, out=tmp_path / "square")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("name", ["indptr", "indices", "values", "shape"])
    def test_damage_is_found(self, tmp_path, name):
        A = random_csr(50, 50, 5)
        spgemm(A, A, out=tmp_path / "square")
        path = tmp_path / "square" / f"{name}.npy"
        whole = path.read_bytes()
        for broken in (b"", whole[:100], whole[:-4], b"<html>" + whole[6:]):
            path.write_bytes(broken)
            with pytest.raises(StoreCorrupt):
                open_product(tmp_path / "square")
        if name != "values":
            path.write_bytes(whole[:-4] + b"\xff\xff\xff\x7f")
            with pytest.raises(StoreCorrupt):
                open_product(tmp_path / "square")


def test_estimate_bounds_what_is_made():
    A = random_csr(300, 300, 10)
    found = spgemm(A, A)
    bound = estimate(A, A)
    assert bound.products == int(np.diff(A.indptr)[A.indices].sum())
    assert found.num_entries <= bound.max_entries
    assert found.nbytes <= bound.result_bytes
    assert estimate(A, A, top_k=3).max_entries <= 900
    assert estimate(A, A, mask=([0, 0], [1, 1])).max_entries == 1


A = sp.csr_array(np.eye(3, dtype=np.float32))
BIG = sp.csr_array(np.array([[1 << 40, 1 << 40], [0, 0]]))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: spgemm(A, sp.csr_array((4, 3))), InvalidInput, "A is 3 x 3 and B is 4 x 3"),
        (lambda: spgemm(A, A, semiring="times"), InvalidInput, "plus_times, plus_pair"),
        (lambda: spgemm(A, A, mask=sp.csr_array((3, 4))), InvalidInput, "mask is 3 x 4, but the product is 3 x 3"),
        (lambda: spgemm(A, A, mask=([0], [3])), InvalidInput, "pair 0 has column 3, outside 0..2"),
        (lambda: spgemm(A, A, mask=([-1], [0])), InvalidInput, "pair 0 has row -1"),
        (lambda: spgemm(A, A, mask=([0, 1], [0])), InvalidInput, "2 rows and 1 columns"),
        (lambda: spgemm(A, A, mask=([0.5], [0])), InvalidType, "must be integers"),
        (lambda: spgemm(A, A, mask=([0], [0], [0])), InvalidType, "tuple of 3"),
        (lambda: spgemm(A, A, complement=True), InvalidInput, "needs a mask"),
        (lambda: spgemm(A, A, top_k=0), InvalidInput, "top_k must be an integer >= 1"),
        (lambda: spgemm(A, A, threshold=np.nan), InvalidInput, "finite"),
        (lambda: spgemm(A, A, semiring="any_pair", top_k=1), InvalidInput, "no values to choose by"),
        (lambda: spgemm(A, A, semiring="any_pair", dtype=np.float32), InvalidType, "pattern without values"),
        (lambda: spgemm(A, A, dtype=np.int32), InvalidType, "cannot hold"),
        (lambda: spgemm(A, A, dtype=np.float16), InvalidType, "float32, float64, int32 or int64"),
        (lambda: spgemm(BIG, BIG), InvalidInput, "entries could reach"),
        (lambda: spgemm(BIG, BIG, dtype=np.int32), InvalidInput, "ask for dtype int64 or float64"),
        (lambda: spgemm(A, A, symmetric=True, top_k=1), InvalidInput, "symmetric=True"),
        (lambda: spgemm(A, A.tocsc()), InvalidType, "call .tocsr"),
        (lambda: spgemm(np.eye(3), A), InvalidType, "got ndarray"),
        (lambda: spgemm(CSR(np.array([0, 2]), np.array([0, 9], np.int32), None, 3), A), InvalidInput, "0..2; they are"),
        (lambda: spgemm(CSR(np.array([0, 1]), np.array([0, 1], np.int32), None, 3), A), InvalidInput, "offsets must"),
        (lambda: spgemm(A, A, threads=0), InvalidInput, "threads must be"),
        (lambda: spgemm(A, A, dtype="int4"), InvalidType, "must name a dtype of NumPy, .*'int4'"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
