"""Streams of a loader's own, with a recording stand-in for torch's: what waits for what."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from nearhop import GraphStore
from nearhop.gnn.large_gt import TokenBatch
from nearhop.sampling import NodeLoader
from nearhop.sampling.loaders import streams
from nearhop.tests.support import needs, needs_gpu

torch = pytest.importorskip("torch")


class Cuda:
    """Notes what is asked of streams; every thread begins on the default one."""

    def __init__(self):
        self.notes = []
        self._here = threading.local()

    def Stream(self, device):
        return self._stream("side", device)

    def _stream(self, name, device):
        def record_event():
            self.notes.append(("record", name))
            return name

        made = SimpleNamespace(name=name, device=device, record_event=record_event, wait_event=self._wait(name))
        made.wait_stream = lambda other: self.notes.append(("begin", name, other.name))
        return made

    def _wait(self, name):
        return lambda mark: self.notes.append(("wait", name, mark))

    def current_stream(self, device):
        return getattr(self._here, "stream", None) or self._stream("default", device)

    @contextmanager
    def stream(self, stream):
        self._here.stream = stream
        yield
        self._here.stream = None


@pytest.fixture
def cuda(monkeypatch):
    """The stand-in, and tables that say that they give rows to a GPU."""
    made = Cuda()
    monkeypatch.setattr(streams, "require", lambda *_: SimpleNamespace(cuda=made))
    return made


@needs("torch_geometric")
def test_batches_are_made_on_a_side_stream_and_waited_for_by_the_callers(cuda):
    store = GraphStore.from_edges(np.arange(40), (np.arange(40) + 1) % 40)
    store.nodes["x"] = np.arange(40, dtype=np.float32)[:, None]
    loader, where = NodeLoader(store, [2], batch_size=16), []

    class Table(dict):
        device = torch.device("cuda:0")

        def __getitem__(self, nodes):
            where.append(cuda.current_stream("cuda:0").name)
            return torch.from_numpy(store.nodes["x"][nodes])

    loader._form.tables.update(x=Table(), z=Table())
    plain = [batch.x.tolist() for batch in NodeLoader(store, [2], batch_size=16, workers=0)]
    assert [batch.x.tolist() for batch in loader] == plain
    assert where == ["side"] * 6
    assert cuda.notes.count(("begin", "side", "default")) == 1  # for both tables, after what the caller has queued
    assert cuda.notes.count(("record", "side")) == 3
    assert cuda.notes.count(("wait", "default", "side")) == 3
    assert cuda.notes.index(("record", "side")) < cuda.notes.index(("wait", "default", "side"))


def test_memory_of_a_batch_is_noted_for_the_callers_stream(cuda):
    beside = streams.SideStreams([torch.device("cuda:0")])
    noted = []

    def tensor(is_cuda):
        return SimpleNamespace(is_cuda=is_cuda, device="cuda:0", record_stream=lambda stream: noted.append(stream.name))

    def batches():
        yield beside.queued(lambda: (tensor(True), tensor(False)))

    assert len(list(beside.handed_over(batches()))) == 1
    assert noted == ["default"]


@needs("torch_geometric")
def test_tensors_of_every_kind_of_batch():
    from torch_geometric.data import Data, HeteroData

    a, b = torch.ones(1), torch.zeros(2)
    hetero = HeteroData()
    hetero["user"].x, hetero["user", "buys", "item"].edge_index = a, b
    tokens = TokenBatch(nodes=a, index=b, tables=(a, b), position=None)
    for batch, expected in (
        (a, [a]),
        (Data(x=a, edge_index=b, name="no tensor"), [a, b]),
        (hetero, [a, b]),
        (tokens, [a, b, a, b]),
        (({"x": a}, [b, 3]), [a, b]),
        (5, []),
    ):
        assert [id(tensor) for tensor in streams.tensors_in(batch)] == [id(tensor) for tensor in expected]


def test_leaving_early_ends_what_makes_batches(cuda):
    ended = []

    def batches():
        try:
            while True:
                yield SimpleNamespace(stores=[]), [None]
        finally:
            ended.append(True)

    handed = streams.SideStreams([torch.device("cuda:0")]).handed_over(batches())
    next(handed)
    handed.close()
    assert ended == [True]


@needs("torch_geometric")
@needs_gpu
def test_batches_on_a_gpu_are_right_under_load():
    store = GraphStore.from_edges(np.arange(4000), (np.arange(4000) + 1) % 4000)
    x = np.arange(4000 * 64, dtype=np.float32).reshape(4000, 64)
    from nearhop.sampling import UnifiedTensor

    for placement in ("pinned", "cuda"):
        with UnifiedTensor(x, placement=placement) as table:
            for batch in NodeLoader(store, [3], tables={"x": table}, batch_size=256, workers=2):
                busy = torch.randn(2000, 2000, device="cuda")
                busy = busy @ busy
                np.testing.assert_array_equal(batch.x.cpu().numpy(), x[batch.n_id.cpu().numpy()])
