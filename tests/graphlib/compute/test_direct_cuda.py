"""Launches through the driver, on a stand-in for it: what lies where a kernel would read its arguments."""

from __future__ import annotations

import ctypes
import struct

import numpy as np
import pytest
import torch

pytest.importorskip("numba.cuda")

from nearhop.graphlib.compute import direct_cuda


class Driver:
    """`cuLaunchKernel` keeps what it was asked for and the words behind the first arguments."""

    def __init__(self, words: int) -> None:
        self.words, self.launches, self.status = words, [], 0

    def cuLaunchKernel(self, function, *given):
        size, shared, stream, arguments = given[:6], given[6], given[7].value, given[8]
        read = [ctypes.string_at(arguments[i], 8) for i in range(self.words)]
        self.launches.append((function.value, size, shared, stream, b"".join(read)))
        return self.status


class Kernel:
    """What Numba's dispatcher shows: launches by itself, and what it compiled."""

    def __init__(self, handle=77):
        self.by_numba, self.overloads = [], {}
        self.handle = handle

    def __getitem__(self, launch):
        def run(*arguments):
            self.by_numba.append((launch, arguments))
            self.overloads[tuple(map(self.typeof_pyval, arguments))] = self

        return run

    def typeof_pyval(self, argument):
        return type(argument).__name__

    _codelibrary = property(lambda self: self)

    def get_cufunc(self):
        return self


def launched(monkeypatch, words, kernel, *arguments):
    driver = Driver(words)
    monkeypatch.setattr(direct_cuda.ctypes, "CDLL", lambda name: driver)
    for _ in range(2):
        direct_cuda.launch(torch, 0, kernel, 3, 64, 128, 5, arguments)
    return driver


def test_arguments_lie_as_a_kernel_reads_them(monkeypatch):
    monkeypatch.setattr(direct_cuda.cuda, "external_stream", lambda handle: handle)
    table, kernel = torch.arange(12, dtype=torch.int32).view(3, 4), Kernel()
    driver = launched(monkeypatch, 15, kernel, table, True, -3, 2.5, np.float32(0.5), 1 << 63, (np.int64(4), 9))
    assert len(kernel.by_numba) == 1, "the first launch is Numba's own"
    ((handle, size, shared, stream, words),) = driver.launches
    assert (handle, size, shared, stream) == (77, (3, 1, 1, 64, 1, 1), 128, 5)
    array = (0, 0, 12, 4, table.data_ptr(), 3, 4, 16, 4)
    assert words == struct.pack("<9q?7xqdf4xQq", *array, True, -3, 2.5, 0.5, 1 << 63, 4)


def test_other_types_and_other_kernels_are_numbas(monkeypatch):
    monkeypatch.setattr(direct_cuda.cuda, "external_stream", lambda handle: handle)
    kernel = Kernel()
    assert launched(monkeypatch, 0, kernel, object(), 3).launches == []
    assert len(kernel.by_numba) == 2
    elsewhere = Kernel(handle="where a later version keeps it")
    assert launched(monkeypatch, 1, elsewhere, 3).launches == []
    assert len(elsewhere.by_numba) == 2


def test_a_refused_launch_is_an_error(monkeypatch):
    monkeypatch.setattr(direct_cuda.cuda, "external_stream", lambda handle: handle)
    kernel, driver = Kernel(), Driver(1)
    driver.status = 701
    monkeypatch.setattr(direct_cuda.ctypes, "CDLL", lambda name: driver)
    direct_cuda.launch(torch, 0, kernel, 1, 1, 0, 0, (1,))
    with pytest.raises(RuntimeError, match="error 701"):
        direct_cuda.launch(torch, 0, kernel, 1, 1, 0, 0, (1,))
