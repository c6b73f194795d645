"""Working ahead: results in order, errors in their place, an early end."""

from __future__ import annotations

import threading
import time

import pytest

from nearhop.sampling.ahead import in_order


def test_results_come_in_order_whatever_takes_longest():
    def work(item):
        time.sleep(0.002 * (item % 3))
        return item * item

    assert list(in_order(work, range(20), 2)) == [i * i for i in range(20)]
    assert list(in_order(work, [], 2)) == []


def test_an_error_comes_where_its_result_would_have():
    results = in_order(lambda item: 1 // item, [1, 1, 0, 1], 2)
    assert [next(results), next(results)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_leaving_early_neither_waits_for_all_nor_reads_all():
    read, done = [], []

    def items():
        for i in range(1000):
            read.append(i)
            yield i

    results = in_order(done.append, items(), 1)
    next(results)
    results.close()
    assert len(read) <= 5
    assert len(done) <= 5
    assert not [t for t in threading.enumerate() if t.name.startswith("nearhop-sample") and t.is_alive()]
