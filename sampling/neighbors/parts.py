"""Numbers for the nodes of many picks, on several threads, as one thread would give them.

Each thread numbers the nodes of its part of the picks by marks of its own, in which everything that had a number before
stands; the lists of new nodes are then joined. Threads that write to the same marks would take the cache lines from
each other: claims by an atomic maximum in common marks were measured slower on two threads than one thread is.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.threads import Loop, pieces, spread, threads_now

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ..scratch import Scratch

LEAST = 1 << 19  # picks that are worth it
_MOST_PARTS = 8  # each list is looked up in the marks of all parts before it
_PIECE = 1 << 15  # entries of lists
AT_ONCE = 1 << 14


def pays(picks: int) -> bool:
    """Whether so many picks are numbered faster on the threads in use."""
    return picks >= LEAST and threads_now() > 1


def number_in_parts(
    scratch: Scratch,
    entries: tuple[NDArray[Any], NDArray[Any]],
    picked: NDArray[np.int64],
    nodes: NDArray[np.int64],
    known: int,
    far: NDArray[np.int32],
    edges: NDArray[Any],
) -> int:
    """What `number_cpu.number_nodes` does, on the threads in use; returns how many nodes there are."""
    from . import number_cpu, parts_cpu

    parts = min(threads_now(), _MOST_PARTS)
    ends = np.linspace(0, picked.shape[0], parts + 1).astype(np.int64).tolist()
    others, base = scratch.other_marks(parts - 1), scratch.base
    lists = [nodes]
    for part in range(1, parts):
        most = min(ends[part + 1] - ends[part], scratch.mark.shape[0] - known)
        lists.append(scratch.array(f"nodes of part {part}", known + most))
    counts = [known] * parts

    def number(part: int) -> None:
        mark = scratch.mark if part == 0 else others[part - 1]
        if part > 0:
            for a, b in pieces(known - scratch.entered[part - 1], first=AT_ONCE):
                first = scratch.entered[part - 1]
                parts_cpu.enter_nodes(mark, base, nodes, first + a, first + b)
            scratch.entered[part - 1] = known
        first, last = ends[part], ends[part + 1]
        for a, b in pieces(last - first, first=AT_ONCE):
            some = slice(first + a, first + b)
            counts[part] = number_cpu.number_nodes(
                entries, picked[some], (mark, base), lists[part], counts[part], far[some], edges[some]
            )

    _each(number, parts)
    sizes = [count - known for count in counts[1:]]
    starts = np.cumsum([0, *sizes])
    becomes = scratch.array("becomes", int(starts[-1]))
    count = _join((scratch.mark, base), others, known, lists, starts, becomes, nodes, counts[0])
    for part in range(1, parts):
        own = becomes[starts[part - 1] : starts[part]]
        _translate(known, own, far[ends[part] : ends[part + 1]])
    return count


def _join(
    marks: tuple[NDArray[np.int32], int],
    others: NDArray[np.int32],
    known: int,
    lists: list[NDArray[np.int64]],
    starts: NDArray[np.int64],
    becomes: NDArray[np.int64],
    nodes: NDArray[np.int64],
    count: int,
) -> int:
    """Number the nodes of all lists but the first, in `becomes`; returns how many nodes there are then."""
    from . import parts_cpu

    work = [
        (part, at, min(at + _PIECE, stop - start))
        for part, (start, stop) in enumerate(pairwise(starts.tolist()))
        for at in range(0, stop - start, _PIECE)
    ]
    fresh = np.zeros(len(work), np.int64)

    def of(piece: int) -> tuple[NDArray[Any], NDArray[Any]]:
        part, first, last = work[piece]
        return lists[part + 1][known + first : known + last], becomes[starts[part] + first : starts[part] + last]

    def find(piece: int) -> None:
        listed, own = of(piece)
        fresh[piece] = parts_cpu.find_earlier(marks, others[: work[piece][0]], known, starts, listed, own)

    def number(piece: int) -> None:
        listed, own = of(piece)
        parts_cpu.number_new(marks, listed, int(numbers[piece]), own, nodes)

    def take(piece: int) -> None:
        part, first, last = work[piece]
        parts_cpu.take_over(int(starts[part]) + first, int(starts[part]) + last, becomes)

    _each(find, len(work))
    numbers = count + np.cumsum(fresh) - fresh
    _each(number, len(work))
    _each(take, len(work))
    return count + int(fresh.sum())


def _translate(known: int, becomes: NDArray[np.int64], far: NDArray[np.int32]) -> None:
    from . import parts_cpu

    spread(lambda a, b, _: parts_cpu.translate(known, becomes, far[a:b]), far.shape[0], few=AT_ONCE)


def _each(work: Callable[[int], None], count: int) -> None:
    """`work(i)` for every i, on the threads in use."""

    def turns(first: int, last: int, _: int) -> None:
        for i in range(first, last):
            work(i)

    Loop(turns, count, threads_now()).run()
