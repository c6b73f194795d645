"""What NAT's layers hand to CUDA kernels; the kernels themselves are in tests/gnn/cuda_parity.py."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nearhop.gnn.nat import device_layers, layers, layers_cuda  # noqa: E402


def test_kernels_are_given_tensors_without_gradients():
    """Numba refuses those that have one."""
    weight = torch.ones(3, requires_grad=True)
    given = layers_cuda.Weights(2 * weight, weight, np.float32(1))
    ready = layers_cuda._ready(given)
    assert type(ready) is layers_cuda.Weights
    assert not ready.codes.requires_grad
    assert not ready.value.requires_grad
    assert ready.value.data_ptr() == weight.data_ptr()
    assert ready.score is given.score


def test_the_processors_tensors_are_not_for_kernels():
    assert not device_layers.by_kernels(torch.ones(2))


def test_rows_of_a_dense_join():
    """Two pairs: one row of two slots, and no row."""
    code = torch.tensor([[0, 5], [0, 0]], dtype=torch.uint8)
    member = torch.tensor([[[-1, -1], [2, 0]], [[-1, -1], [-1, -1]]], dtype=torch.int32)
    found = layers.RaggedJoint.of_dense(device_layers.DenseJoint(code, member, torch.tensor([7, 8, 9])))
    assert (found.pairs, found.pair.tolist(), found.code.tolist()) == (2, [0], [5])
    assert (found.key.tolist(), found.slot.tolist(), found.row.tolist()) == ([9], [2, 0], [0, 0])
