"""Blocks of products in registers against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from nearhop.gnn.blocks_cpu import add_products


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_of_every_shape(dtype):
    rng = np.random.default_rng(0)
    for rows, count, width in ((32, 33, 16), (7, 5, 24), (1, 1, 8), (6, 17, 40), (3, 0, 16)):
        a, b, c = (rng.standard_normal(shape).astype(dtype) for shape in ((rows, count), (count, width), (rows, width)))
        expected = c + a @ b
        for left in (a, np.ascontiguousarray(a.T).T):
            out = np.full((rows + 1, width), 7, dtype)
            out[:rows] = c
            add_products(left, b, out, rows, count, width)
            np.testing.assert_allclose(out[:rows], expected, rtol=1e-5, atol=1e-5)
            assert (out[rows] == 7).all()
