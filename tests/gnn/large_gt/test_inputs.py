from __future__ import annotations

import numpy as np
import pytest
import torch

from nearhop.gnn.large_gt.inputs import first_layer
from nearhop.gnn.threads import steady


@pytest.mark.parametrize("rows", [0, 1, 511, 512, 513, 5000])
@pytest.mark.parametrize("kind", [torch.float16, torch.float32])
def test_it_is_a_linear_map_and_a_relu(rows, kind):
    torch.manual_seed(0)
    tables = tuple(torch.randn(rows, 9).to(kind) for _ in range(3))
    weight, bias = torch.randn(7, 9, requires_grad=True), torch.randn(7, requires_grad=True)
    found = first_layer(tables, weight, bias)
    slope = torch.randn_like(found)
    (found * slope).sum().backward()
    ours = weight.grad.clone(), bias.grad.clone()
    weight.grad = bias.grad = None
    wanted = torch.stack([torch.relu(table.float() @ weight.t() + bias) for table in tables])
    (wanted * slope).sum().backward()
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    for got, expected in zip(ours, (weight.grad, bias.grad), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-3)


def test_the_same_bits_at_any_thread_count():
    tables = (torch.randn(3000, 20),)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            weight, bias = torch.ones(8, 20, requires_grad=True), torch.zeros(8, requires_grad=True)
            with steady():
                first_layer(tables, weight, bias).sin().sum().backward()
            found.append(np.concatenate([weight.grad.numpy().ravel(), bias.grad.numpy()]))
    finally:
        torch.set_num_threads(before)
    assert (found[0] == found[1]).all()
