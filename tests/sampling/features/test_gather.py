"""`gather` against NumPy's own indexing."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from nearhop.graphlib.errors import InvalidInput, InvalidType
from nearhop.sampling.features.gather import gather


def random_table(rows, width, dtype):
    rng = np.random.default_rng(width)
    raw = rng.integers(0, 256, rows * width * np.dtype(dtype).itemsize, dtype=np.uint8)
    return raw.view(dtype).reshape(rows, width)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 7, 8, 12, 16, 31, 32, 33, 64, 100, 128, 192, 256, 300, 512, 1433])
def test_every_width_in_bytes(width):
    table = random_table(500, width, np.uint8)
    index = np.random.default_rng(1).integers(0, 500, 333)
    np.testing.assert_array_equal(gather(table, index), table[index])
    np.testing.assert_array_equal(gather(table, index.astype(np.int32), sort=True, threads=2), table[index])


@pytest.mark.parametrize("dtype", ["f4", "f2", "i8", "?", "c16", "M8[s]", "S5", "U3", ">f4"])
def test_every_kind_of_dtype(dtype):
    table = (
        random_table(50, 6, np.uint8).astype("U1").astype(dtype)
        if dtype in ("S5", "U3")
        else (np.arange(300).reshape(50, 6) % 2 if dtype == "?" else np.arange(300).reshape(50, 6)).astype(dtype)
    )
    index = np.array([49, 0, 7, 7])
    got = gather(table, index)
    assert got.dtype == table.dtype
    np.testing.assert_array_equal(got, table[index])


@pytest.mark.parametrize("width", [16, 32, 64, 65, 100, 192, 300])
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("sort", [False, True])
def test_results_larger_than_the_cache(width, threads, sort):
    """4 MiB and more take the path past the cache, and several threads."""
    table = random_table(2000, width, np.float32)
    index = np.random.default_rng(2).integers(0, 2000, 5 * 2**20 // (4 * width) * 2)
    np.testing.assert_array_equal(gather(table, index, threads=threads, sort=sort), table[index])


def test_rows_of_higher_rank_columns_slices_and_maps(tmp_path):
    cube = np.arange(240.0).reshape(10, 4, 6)
    index = [9, 3, 3]
    np.testing.assert_array_equal(gather(cube, index), cube[index])
    np.testing.assert_array_equal(gather(cube[:, 1], index), cube[:, 1][index])
    np.testing.assert_array_equal(gather(cube[::3], [3, 0]), cube[::3][[3, 0]])
    np.testing.assert_array_equal(gather(cube[:, 0, 0], index), cube[:, 0, 0][index])
    np.save(tmp_path / "x.npy", cube)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    got = gather(mapped, index)
    assert type(got) is np.ndarray
    np.testing.assert_array_equal(got, cube[index])
    with pytest.raises(InvalidInput, match="not contiguous"):
        gather(cube[:, :, ::2], index)
    with pytest.raises(InvalidInput, match="not contiguous"):
        gather(cube[::-1], index)


def test_empty_tables_and_indices():
    assert gather(np.ones((3, 4)), []).shape == (0, 4)
    assert gather(np.ones((3, 0)), [1, 2]).shape == (2, 0)
    assert gather(np.ones((0, 4)), np.empty(0, np.int64)).shape == (0, 4)
    with pytest.raises(InvalidInput, match=r"index\[0\] is 0, but the table has rows 0..-1"):
        gather(np.ones((0, 4)), [0])


@pytest.mark.parametrize("bad", [-1, 10, 2**40, -(2**62)])
def test_an_id_outside_is_named_with_its_position(bad):
    index = np.arange(10).repeat(9)
    index[71] = bad
    with pytest.raises(InvalidInput, match=rf"index\[71\] is {bad}, but the table has rows 0..9"):
        gather(np.ones((10, 3)), index)


@pytest.mark.parametrize("width", [16, 64, 128, 100])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("threads", [1, 3])
def test_an_id_outside_is_found_by_every_kernel(width, dtype, threads):
    """In results of either kind, by the thread that has it; the message names the first of two."""
    table = random_table(1000, width, np.uint8)
    index = np.random.default_rng(1).integers(0, 1000, 6 * 2**20 // width).astype(dtype)
    index[[-5, -3]] = -1, 1000
    bad = len(index) - 5
    with pytest.raises(InvalidInput, match=rf"index\[{bad}\] is -1, but the table has rows 0..999"):
        gather(table, index, threads=threads)
    with pytest.raises(InvalidInput, match=rf"index\[{bad}\] is -1"):
        gather(table, index, sort=True, threads=threads)
    index[7] = 1000
    with pytest.raises(InvalidInput, match=r"index\[7\] is 1000"):
        gather(table, index, threads=threads)


def test_a_large_unsigned_id_is_shown_as_given():
    with pytest.raises(InvalidInput, match=rf"index\[0\] is {2**64 - 1}"):
        gather(np.ones((10, 3)), np.array([2**64 - 1], np.uint64))


def test_wrong_arguments():
    table = np.ones((10, 3))
    with pytest.raises(InvalidType, match="integer row numbers; got dtype float64"):
        gather(table, [0.0, 1.0])
    with pytest.raises(InvalidInput, match="one dimension"):
        gather(table, [[0, 1]])
    with pytest.raises(InvalidType, match="NumPy array; got list"):
        gather([[1, 2]], [0])
    with pytest.raises(InvalidType, match="Python objects"):
        gather(np.array([[None]]), [0])
    with pytest.raises(InvalidInput, match="scalar"):
        gather(np.array(3), [0])
    with pytest.raises(InvalidInput, match=r"out must be a float64 array of shape \(2, 3\); got float32"):
        gather(table, [0, 1], out=np.empty((2, 3), np.float32))
    with pytest.raises(InvalidInput, match="C-contiguous"):
        gather(table, [0, 1], out=np.empty((3, 2)).T)
    with pytest.raises(InvalidInput, match="threads"):
        gather(table, [0], threads=0)


def test_out_is_written_and_returned_even_when_unaligned():
    for width in (16, 64, 100, 129):
        table = random_table(100, width, np.float32)
        index = np.random.default_rng(3).integers(0, 100, 2**15)
        size = index.shape[0] * 4 * width
        memory = np.full(size + 128, 7, np.uint8)
        start = -memory.ctypes.data % 64
        for shift in (0, 4, 60):
            out = memory[start + shift :][:size].view(np.float32).reshape(-1, width)
            assert gather(table, index, out=out) is out
            np.testing.assert_array_equal(out, table[index])
        assert (memory[:start] == 7).all()
        assert (memory[start + 60 + size :] == 7).all()


def test_results_that_are_held_are_never_overwritten():
    table = random_table(64, 64, np.float32)
    held = [gather(table, np.full(512, row)) for row in range(20)]
    for row, result in enumerate(held):
        np.testing.assert_array_equal(result, np.tile(table[row], (512, 1)))


def test_many_callers_at_once():
    table = random_table(1000, 128, np.int32)
    wrong = []

    def call(seed):
        index = np.random.default_rng(seed).integers(0, 1000, 12_000)
        for _ in range(4):
            if not np.array_equal(gather(table, index, threads=2), table[index]):
                wrong.append(seed)

    callers = [threading.Thread(target=call, args=(seed,)) for seed in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert wrong == []
