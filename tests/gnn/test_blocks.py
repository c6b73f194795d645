"""Blocks of products in registers against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from nearhop.gnn.blocks_cpu import products, products_turned


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_of_every_shape(dtype):
    rng = np.random.default_rng(0)
    for rows, count, width in ((32, 33, 16), (7, 5, 24), (1, 1, 8), (6, 17, 40), (3, 0, 16)):
        a, b, c = (rng.standard_normal(shape).astype(dtype) for shape in ((rows, count), (count, width), (rows, width)))
        expected = c + a @ b
        for left in (a, np.ascontiguousarray(a.T).T):
            for afresh in (False, True):
                out = np.full((rows + 1, width), 7, dtype)
                out[:rows] = c
                products(left, b, out, rows, count, width, afresh)
                np.testing.assert_allclose(out[:rows], expected - c if afresh else expected, rtol=1e-5, atol=1e-5)
                assert (out[rows] == 7).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_with_any_width_and_with_the_transposed(dtype):
    rng = np.random.default_rng(1)
    for rows, count, width in ((9, 33, 70), (8, 64, 32), (5, 7, 3), (1, 16, 4), (17, 48, 5), (2, 0, 4), (63, 40, 96)):
        a, b, c = (rng.standard_normal(shape).astype(dtype) for shape in ((rows, count), (count, width), (rows, width)))
        expected = c + a @ b
        for product, right in ((products, b), (products_turned, np.ascontiguousarray(b.T))):
            for afresh in (False, True):
                out = np.full((rows + 1, width + 2), 7, dtype)
                out[:rows, :width] = np.nan if afresh else c  # what is overwritten must not be read
                product(a, right, out, rows, count, width, afresh)
                wanted = expected - c if afresh else expected
                np.testing.assert_allclose(out[:rows, :width], wanted, rtol=1e-4, atol=1e-4)
                assert (out[rows] == 7).all()
                assert (out[:, width:] == 7).all()
