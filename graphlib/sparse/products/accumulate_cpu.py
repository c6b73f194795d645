"""One row of a sparse product, summed by each accumulator: dense, placed, masked, hashed.

`semiring` and `masked` are tuples whose lengths are the codes: each is a type of its own to the compiler, which makes
one kernel per semiring and kind of mask, without tests in the loops. Rows are appended to `out`, (columns, values),
from place n on; what comes back is their end.

Arrays of places are never cleared: a column's place is kept as `before` + place + 1, where `before` is what was written
by the same worker before `out` began, so that what earlier rows left there is below the first place of this one.
"""

from __future__ import annotations

from ...compute.jit import kernel, prefetch
from ..csr_cpu import lower_bound
from .row_cpu import U
from .semirings import ANY_PAIR, MAX_TIMES, MIN_PLUS, PLUS_PAIR, PLUS_TIMES

NO_MASK, KEEP, COMPLEMENT = range(3)
_GOLDEN = U(0x9E3779B97F4A7C15)
_FAR, _NEAR = U(32), U(16)  # entries of A ahead: of B's offsets, and of its rows


@kernel(forceinline=True)
def _counts(semiring):
    """Whether values are not read."""
    return len(semiring) == PLUS_PAIR or len(semiring) == ANY_PAIR


@kernel(forceinline=True)
def _product(semiring, a, b_values, f):
    if len(semiring) == PLUS_TIMES or len(semiring) == MAX_TIMES:
        return a * b_values[f]
    return a + b_values[f]


@kernel(forceinline=True)
def _set(semiring, values, p, a, b_values, f):
    if len(semiring) == PLUS_PAIR:
        values[p] = 1
    elif len(semiring) != ANY_PAIR:
        values[p] = _product(semiring, a, b_values, f)


@kernel(forceinline=True)
def _merge(semiring, values, p, a, b_values, f):
    if len(semiring) == PLUS_TIMES:
        values[p] += a * b_values[f]
    elif len(semiring) == PLUS_PAIR:
        values[p] += 1
    elif len(semiring) == MAX_TIMES:
        values[p] = max(values[p], a * b_values[f])
    elif len(semiring) == MIN_PLUS:
        values[p] = min(values[p], a + b_values[f])


@kernel(forceinline=True)
def _factor(semiring, a_values, e):
    return a_values.dtype.type(1) if _counts(semiring) else a_values[e]


@kernel(forceinline=True)
def _first(b_indptr, b_indices, k, i, upper):
    start = U(b_indptr[k])
    return lower_bound(b_indices, start, U(b_indptr[k + U(1)]), i) if upper else start


@kernel(forceinline=True)
def _prefetch_rows(semiring, a_indices, B, e, end):
    b_indptr, b_indices, b_values = B
    prefetch(b_indptr, a_indices[min(e + _FAR, end)])
    at = b_indptr[a_indices[min(e + _NEAR, end)]]
    prefetch(b_indices, at)
    if not _counts(semiring):
        prefetch(b_values, at)


@kernel(forceinline=True)
def _merged(semiring, new, before, a, b_values, f):
    """The value of a column behind one more product."""
    if len(semiring) == PLUS_PAIR:
        return 1 if new else before + 1
    product = _product(semiring, a, b_values, f)
    if len(semiring) == PLUS_TIMES:
        return product if new else before + product
    if len(semiring) == MAX_TIMES:
        return product if new else max(before, product)
    return product if new else min(before, product)


@kernel
def dense_row(semiring, masked, i, upper, A, B, own, stamp, n, out):
    """Append row i; `own` is (cells, stamps, bits). Under COMPLEMENT, columns whose bit is set are left out.

    `cells[j]` holds the value of column j, and `stamps[j]`, in the same line of the cache, whether it is this row's.
    Whether a column is met for the first time is never branched on: where rows compress, no processor guesses it. The
    place behind the last entry is written to.
    """
    a_indptr, a_indices, a_values = A
    b_indptr, b_indices, b_values = B
    cells, stamps, bits = own
    idx, val = out
    start = n
    end = U(a_indices.shape[0] - 1)
    for e in range(U(a_indptr[i]), U(a_indptr[i + 1])):
        _prefetch_rows(semiring, a_indices, B, e, end)
        k = U(a_indices[e])
        a = _factor(semiring, a_values, e)
        for f in range(_first(b_indptr, b_indices, k, i, upper), U(b_indptr[k + U(1)])):
            j = U(b_indices[f])
            new = stamps[j, 1] != stamp
            idx[n] = j
            stamps[j, 1] = stamp
            if len(semiring) != ANY_PAIR:
                cells[j, 0] = _merged(semiring, new, cells[j, 0], a, b_values, f)
            if len(masked) == COMPLEMENT:
                new &= ((bits[j >> U(6)] >> (j & U(63))) & U(1)) == U(0)
            n += U(new)
    if len(semiring) != ANY_PAIR:
        for at in range(start, n):
            val[at] = cells[U(idx[at]), 0]
    return n


@kernel
def placed_row(semiring, masked, i, upper, A, B, own, n, out):
    """`dense_row` for rows that hardly compress; `own` is (place, before, bits).

    A new column is guessed right nearly always then, its value is appended, and `place` is half of `cells`.
    """
    a_indptr, a_indices, a_values = A
    b_indptr, b_indices, b_values = B
    place, before, bits = own
    idx, val = out
    start = before + n
    end = U(a_indices.shape[0] - 1)
    for e in range(U(a_indptr[i]), U(a_indptr[i + 1])):
        _prefetch_rows(semiring, a_indices, B, e, end)
        k = U(a_indices[e])
        a = _factor(semiring, a_values, e)
        for f in range(_first(b_indptr, b_indices, k, i, upper), U(b_indptr[k + U(1)])):
            j = b_indices[f]
            p = U(place[j])
            if p <= start:
                if len(masked) == COMPLEMENT and (bits[U(j) >> U(6)] >> (U(j) & U(63))) & U(1):
                    continue
                idx[n] = j
                _set(semiring, val, n, a, b_values, f)
                n += U(1)
                place[j] = before + n
            else:
                _merge(semiring, val, p - before - U(1), a, b_values, f)
    return n


@kernel
def hash_row(semiring, i, upper, A, B, own, n, out):
    """Append row i; `own` is (table, its size for this row, at least twice its products and a power of two, before)."""
    a_indptr, a_indices, a_values = A
    b_indptr, b_indices, b_values = B
    table, size, before = own
    idx, val = out
    start = before + n
    end = U(a_indices.shape[0] - 1)
    mask = size - U(1)
    for e in range(U(a_indptr[i]), U(a_indptr[i + 1])):
        _prefetch_rows(semiring, a_indices, B, e, end)
        k = U(a_indices[e])
        a = _factor(semiring, a_values, e)
        for f in range(_first(b_indptr, b_indices, k, i, upper), U(b_indptr[k + U(1)])):
            j = b_indices[f]
            h = ((U(j) * _GOLDEN) >> U(32)) & mask
            p = U(table[h])
            while p > start and idx[p - before - U(1)] != j:
                h = (h + U(1)) & mask
                p = U(table[h])
            if p <= start:
                idx[n] = j
                _set(semiring, val, n, a, b_values, f)
                n += U(1)
                table[h] = before + n
            else:
                _merge(semiring, val, p - before - U(1), a, b_values, f)
    return n


@kernel
def kept_row(semiring, i, A, B, M, own, n, out):
    """Append the entries of row i that the mask names, in its order; returns their end and that of all places used.

    `own` is (place, before, met).
    """
    a_indptr, a_indices, a_values = A
    b_indptr, b_indices, b_values = B
    m_indptr, m_indices = M
    place, before, met = own
    idx, val = out
    start, last = n, n
    old = before + start
    for e in range(U(m_indptr[i]), U(m_indptr[i + 1])):
        j = m_indices[e]
        if U(place[j]) <= old:
            idx[last] = j
            met[last - start] = False
            last = last + U(1)
            place[j] = before + last
    end = U(a_indices.shape[0] - 1)
    for e in range(U(a_indptr[i]), U(a_indptr[i + 1])):
        _prefetch_rows(semiring, a_indices, B, e, end)
        k = U(a_indices[e])
        a = _factor(semiring, a_values, e)
        for f in range(U(b_indptr[k]), U(b_indptr[k + U(1)])):
            p = U(place[b_indices[f]])
            if p > old:
                p -= before + U(1)
                if met[p - start]:
                    _merge(semiring, val, p, a, b_values, f)
                else:
                    met[p - start] = True
                    _set(semiring, val, p, a, b_values, f)
    for at in range(start, last):
        if met[at - start]:
            idx[n] = idx[at]
            if val.shape[0]:
                val[n] = val[at]
            n += U(1)
    return n, last
