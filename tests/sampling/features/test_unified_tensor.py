"""UnifiedTensor on the processor, its decisions, and registration against a runtime that only keeps books."""

from __future__ import annotations

import gc
import logging
import mmap
import os

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from nearhop import GraphStore  # noqa: E402
from nearhop import open as open_store  # noqa: E402
from nearhop.graphlib.errors import InvalidInput, InvalidType  # noqa: E402
from nearhop.sampling.features import registration  # noqa: E402
from nearhop.sampling.features.pinned_adjacency import PinnedAdjacency  # noqa: E402
from nearhop.sampling.features.placement import choose, hottest, is_mapped  # noqa: E402
from nearhop.sampling.features.unified_tensor import UnifiedTensor  # noqa: E402
from nearhop.tests.support import needs_gpu  # noqa: E402

TABLE = np.random.default_rng(0).standard_normal((100, 12)).astype(np.float32)
no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")


class BookKeeper:
    """Stands in for the CUDA runtime: checks that ranges do not overlap and that what is released was held."""

    def __init__(self, refuse_at=None):
        self.ranges = {}
        self.flags = []
        self.refuse_at = refuse_at

    def cudaHostRegister(self, address, size, flags):
        if len(self.ranges) == self.refuse_at:
            return 2
        if size <= 0 or any(a < address + size and address < a + s for a, s in self.ranges.items()):
            return 712
        assert address % registration.PAGE == size % registration.PAGE == 0
        self.ranges[address] = size
        self.flags.append(flags)
        return 0

    def cudaHostUnregister(self, address):
        return 0 if self.ranges.pop(address, None) else 713

    def cudaGetErrorString(self, code):
        return {2: "out of memory", 712: "already registered", 713: "not registered"}[code]

    cudaError = int  # noqa: N815, the runtime's name


@pytest.mark.parametrize(
    "index", [[3, 99, 0, 3], np.array([5, 4], np.int32), torch.tensor([7, 7]), slice(2, 9, 3), slice(None), []]
)
def test_indexing_is_that_of_a_tensor(index):
    t = UnifiedTensor(TABLE, placement="host")
    got = t[index]
    assert isinstance(got, torch.Tensor)
    assert got.device.type == "cpu"
    assert torch.equal(got, torch.from_numpy(TABLE)[index if not isinstance(index, np.ndarray) else index.tolist()])


def test_one_row_and_masks():
    t = UnifiedTensor(TABLE, placement="host")
    assert torch.equal(t[5], torch.from_numpy(TABLE[5]))
    mask = TABLE[:, 0] > 0
    for given in (mask, torch.from_numpy(mask), mask.tolist()):
        assert torch.equal(t[given], torch.from_numpy(TABLE[mask]))
    with pytest.raises(InvalidInput, match="mask must have shape"):
        t[mask[:5]]
    with pytest.raises(InvalidType, match="rows only"):
        t[0, 1]
    with pytest.raises(InvalidInput, match=r"index\[1\] is 100, but the table has rows 0..99"):
        t[torch.tensor([0, 100])]


def test_shape_dtype_len_and_report():
    t = UnifiedTensor(TABLE, placement="host")
    assert (t.shape, t.dtype, len(t), t.ndim, t.nbytes) == ((100, 12), torch.float32, 100, 2, TABLE.nbytes)
    t[[1, 2, 3]]
    t[[4]]
    report = t.report()
    assert (report.placement, report.gathers, report.rows, report.bytes) == ("host", 2, 4, 4 * 48)
    assert (report.host_bytes, report.mapped_bytes, report.gpu_bytes) == (TABLE.nbytes, 0, 0)
    assert report.seconds > 0
    assert "host (asked for)" in str(report)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.bool, torch.int64, torch.complex64])
def test_tensors_of_every_dtype(dtype):
    table = (torch.arange(60).reshape(20, 3) % 5).to(dtype)
    got = UnifiedTensor(table, placement="host")[[19, 0]]
    assert got.dtype == dtype
    assert torch.equal(got, table[[19, 0]])


def test_a_mapped_store_column_stays_on_disk(tmp_path):
    store = GraphStore.from_edges(np.arange(99), np.arange(1, 100))
    store.nodes["x"] = TABLE
    store.save(tmp_path / "store")
    with open_store(tmp_path / "store") as opened:
        column = opened.nodes["x"]
        assert is_mapped(column)
        t = UnifiedTensor(column, placement="mmap")
        assert t.report().mapped_bytes == TABLE.nbytes
        assert torch.equal(t[[3, 1]], torch.from_numpy(TABLE[[3, 1]]))
        in_memory = UnifiedTensor(column, placement="host")
        assert in_memory.report().mapped_bytes == 0
        assert torch.equal(in_memory[[3, 1]], torch.from_numpy(TABLE[[3, 1]]))


@no_gpu
def test_without_a_gpu(tmp_path):
    np.save(tmp_path / "x.npy", TABLE)
    assert UnifiedTensor(TABLE).placement == "host"
    assert UnifiedTensor(np.load(tmp_path / "x.npy", mmap_mode="r")).placement == "mmap"
    for placement in ("cuda", "pinned"):
        with pytest.raises(InvalidInput, match=f'placement="{placement}" needs a CUDA device'):
            UnifiedTensor(TABLE, placement=placement)


def test_wrong_arguments():
    with pytest.raises(InvalidInput, match="placement must be one of auto, host"):
        UnifiedTensor(TABLE, placement="gpu")
    with pytest.raises(InvalidInput, match="mapped from a file"):
        UnifiedTensor(TABLE, placement="mmap")
    with pytest.raises(InvalidInput, match="needs hot="):
        UnifiedTensor(TABLE, placement="split")
    with pytest.raises(InvalidInput, match="max_threads must be an integer >= 1; got 0"):
        UnifiedTensor(TABLE, placement="host", max_threads=0)
    with pytest.raises(InvalidInput, match="gpu_bytes must be"):
        UnifiedTensor(TABLE, placement="host", gpu_bytes=-1)
    with pytest.raises(InvalidType, match="torch has no tensors of dtype <U2"):
        UnifiedTensor(np.array(["ab"]))
    with pytest.raises(InvalidType, match="foreign byte order"):
        UnifiedTensor(TABLE.astype(">f4"))


def test_a_split_table_finds_hot_and_cold_rows():
    """The device of the hot rows is the processor here; the code is that of the GPU."""
    hot = np.arange(100)[::-1].astype(float)
    with UnifiedTensor(TABLE, placement="split", hot=hot, gpu_bytes=30 * 48, device="cpu") as t:
        index = np.random.default_rng(1).integers(0, 100, 500)
        assert torch.equal(t[index], torch.from_numpy(TABLE[index]))
        report = t.report()
        assert report.hot_rows == (index < 30).sum()
        assert report.gpu_bytes == 30 * 48
        assert t[[]].shape == (0, 12)
        with pytest.raises(InvalidInput, match=r"index\[0\] is -1"):
            t[[-1]]
    with pytest.raises(InvalidInput, match="closed"):
        t[[0]]


def test_hottest_rows():
    assert hottest([1, 5, 5, 0], 4, 2).tolist() == [1, 2]
    assert hottest([1.0, 5.0, 5.0, 5.0], 4, 2).tolist() == [1, 2]
    assert hottest([1, 2], 2, 9).tolist() == [0, 1]
    with pytest.raises(InvalidInput, match=r"hot\[1\] is NaN"):
        hottest([0.0, np.nan], 2, 1)
    with pytest.raises(InvalidInput, match=r"shape \(3,\)"):
        hottest([0, 1], 3, 1)


class FreeMemory:
    def __init__(self, free):
        self.free = free

    def mem_get_info(self):
        return self.free, 2 * self.free


@pytest.mark.parametrize(
    ("free", "gpu_bytes", "ranked", "expected"),
    [
        (3 * 4800, None, False, "cuda"),
        (4800, None, False, "pinned"),
        (4800, None, True, "split"),
        (4800, 4800, False, "cuda"),
        (10**9, 100, False, "pinned"),
    ],
)
def test_what_auto_means_with_a_gpu(free, gpu_bytes, ranked, expected):
    chosen = choose("auto", TABLE, cuda=FreeMemory(free), gpu_bytes=gpu_bytes, ranked=ranked)
    assert chosen.name == expected
    assert "4,800 bytes" in chosen.reason


def paged(pages, offset=0):
    """Bytes of an array that begins `offset` bytes behind the start of a page of memory of its own."""
    memory = mmap.mmap(-1, (pages + 2) * registration.PAGE)
    return np.frombuffer(memory, np.uint8)[offset : offset + pages * registration.PAGE]


def test_registration_in_segments_once_per_process(monkeypatch):
    monkeypatch.setattr(registration, "SEGMENT", registration.PAGE)
    runtime, table = BookKeeper(), paged(5)
    first = registration.register(table, runtime=runtime)
    assert first.segments == 5
    assert sum(runtime.ranges.values()) == table.nbytes == registration.registered_bytes()
    assert registration.register(table, runtime=runtime) is first
    first.release()
    assert len(runtime.ranges) == 5
    first.release()
    assert runtime.ranges == {}
    assert registration.registered_bytes() == 0
    assert set(runtime.flags) == {3}


def test_neighbours_in_memory_share_pages_and_each_is_registered_once(monkeypatch):
    monkeypatch.setattr(registration, "SEGMENT", 2 * registration.PAGE)
    page, runtime, memory = registration.PAGE, BookKeeper(), paged(9)
    ends = [(100, 2 * page + 10), (2 * page + 10, 2 * page + 90), (7 * page, 7 * page + 8), (0, 9 * page)]
    held = [registration.register(memory[a:b], runtime=runtime) for a, b in ends]
    assert [one.segments for one in held] == [2, 1, 1, 6]
    assert sum(runtime.ranges.values()) == 9 * page
    assert registration.registered_bytes() == sum(b - a for a, b in ends)
    held[0].release()
    held[3].release()
    assert sum(runtime.ranges.values()) == 2 * page
    held[1].release()
    held[2].release()
    assert runtime.ranges == {}


def test_a_refused_registration_leaves_nothing_behind(monkeypatch):
    monkeypatch.setattr(registration, "SEGMENT", registration.PAGE)
    runtime, table = BookKeeper(refuse_at=3), paged(5, offset=96)
    offset = 3 * registration.PAGE - 96
    with pytest.raises(
        registration.RegistrationRefused, match=rf"offset {offset:,} of {table.nbytes:,}: out of memory"
    ):
        registration.register(table, runtime=runtime)
    assert runtime.ranges == {}
    assert registration.registered_bytes() == 0
    with pytest.raises(InvalidInput, match="at least one byte"):
        registration.register(np.empty(0), runtime=runtime)


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="needs /proc")
@pytest.mark.parametrize(("mode", "reason"), [("r", "read-only map"), ("c", "private map"), ("r+", None)])
def test_maps_that_pinning_fails_on_or_copies_are_refused_with_the_reason(tmp_path, mode, reason):
    path = tmp_path / "table"
    path.write_bytes(bytes(3 * registration.PAGE))
    table, runtime = np.memmap(path, np.uint8, mode=mode), BookKeeper()
    if reason is None:
        registration.register(table, runtime=runtime).release()
        assert len(runtime.flags) == 1
    else:
        with pytest.raises(registration.RegistrationRefused, match=f"{reason} of {path}"):
            registration.register(table, runtime=runtime)
    assert runtime.ranges == {}


def test_what_is_pinned_is_released_when_it_is_garbage():
    runtime = BookKeeper()
    pinned = registration.Pinned(paged(2), device="cpu", runtime=runtime)
    face = registration._Face(pinned, pinned.array.view(np.int64))
    assert face.__cuda_array_interface__["typestr"] == "<i8"
    del pinned
    gc.collect()
    assert len(runtime.ranges) == 1
    del face
    gc.collect()
    assert runtime.ranges == {}


def test_an_adjacency_is_pinned_in_place_and_released(monkeypatch):
    monkeypatch.setattr(registration.Pinned, "device_array", lambda self, device: torch.from_numpy(self.array))
    rows = GraphStore.from_edges(np.arange(99), np.arange(1, 100)).csc()
    runtime = BookKeeper()
    with PinnedAdjacency(rows, device="cpu", runtime=runtime) as pinned:
        held = (rows.indptr, rows.indices, rows.edge_ids)
        assert [a.data_ptr() for a in pinned.arrays] == [a.ctypes.data for a in held]
        assert pinned.nbytes == sum(a.nbytes for a in held) <= sum(runtime.ranges.values())
    assert runtime.ranges == {}
    empty = GraphStore.from_edges([], [], num_nodes=3).csc()
    with PinnedAdjacency(empty, device="cpu", runtime=runtime) as pinned:
        assert [len(a) for a in pinned.arrays] == [4, 0, 0]
    refused = BookKeeper(refuse_at=1)
    with pytest.raises(registration.RegistrationRefused, match="out of memory"):
        PinnedAdjacency(rows, device="cpu", runtime=refused)
    assert refused.ranges == {}


def test_a_failing_release_is_logged(caplog):
    runtime = BookKeeper()
    held = registration.register(TABLE, runtime=runtime)
    runtime.ranges.clear()
    with caplog.at_level(logging.WARNING):
        held.release()
    assert "not registered (error 713)" in caplog.text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_reads_host_tables_and_is_told_about_others():
    host = UnifiedTensor(TABLE, placement="host")
    split = UnifiedTensor(TABLE, placement="split", hot=np.ones(100), gpu_bytes=480, device="cpu")
    host[[0]]
    child = os.fork()
    if child == 0:
        code = 1
        try:
            right = bool((host[[5, 6]].numpy() == TABLE[[5, 6]]).all())
            try:
                split[[0]]
            except RuntimeError as error:
                code = 0 if right and "forked child" in str(error) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@needs_gpu
@pytest.mark.parametrize("placement", ["pinned", "cuda", "split", "host"])
def test_every_placement_on_a_gpu(placement):
    options = {"hot": np.arange(100), "gpu_bytes": 480} if placement == "split" else {}
    with UnifiedTensor(TABLE, placement=placement, device="cuda", **options) as t:
        index = np.random.default_rng(1).integers(0, 100, 500)
        for given in (index, torch.from_numpy(index), torch.from_numpy(index).cuda()):
            got = t[given]
            assert got.is_cuda
            assert torch.equal(got.cpu(), torch.from_numpy(TABLE[index]))
        for _ in range(2):  # the context survives the first
            with pytest.raises(InvalidInput, match=r"index\[1\] is 100"):
                t[torch.tensor([0, 100]).cuda()]
    assert registration.registered_bytes() == 0
