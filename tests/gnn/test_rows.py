"""Rows in registers against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from nearhop.gnn.rows_cpu import add_row, elu_row, set_row
from nearhop.graphlib.compute.jit import kernel


@kernel
def call(out, x, s, at, start, width, elu):
    set_row(out, 0, at, x, 1, start, s, width)
    add_row(out, 1, at, x, 0, start, s, width)
    elu_row(x[2], elu)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [0, 1, 15, 16, 37])
def test_rows_are_set_and_added(dtype, width):
    x = np.random.default_rng(width).standard_normal((3, 40)).astype(dtype)
    out, elu = np.full((3, 45), 7, dtype), np.empty(40, dtype)
    call(out, x, dtype(0.5), 4, 2, width, elu)
    expected = np.full((3, 45), 7, dtype)
    expected[0, 4 : 4 + width] = 0.5 * x[1, 2 : 2 + width]
    expected[1, 4 : 4 + width] += dtype(0.5) * x[0, 2 : 2 + width]
    np.testing.assert_allclose(out, expected, rtol=1e-6)
    np.testing.assert_allclose(elu, np.where(x[2] > 0, x[2], np.expm1(x[2])), rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_elu_is_right_to_its_last_digits_everywhere(dtype):
    x = np.concatenate([np.linspace(-120, 5, 3001), -np.logspace(-30, 2, 999), [-np.inf, np.inf, 0.0]]).astype(dtype)
    found = np.empty_like(x)
    call(np.empty((2, 4), dtype), np.stack([x, x, x]), dtype(1), 0, 0, 4, found)
    exact = np.where(x > 0, x, np.expm1(np.minimum(x, 0).astype(np.float64)))
    np.testing.assert_allclose(found, exact, rtol=3e-7 if dtype == np.float32 else 1e-15)
