"""Temporal link prediction without learning: what a score must beat before it means anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import unmasked
from ...graphlib.errors import InvalidInput
from ...graphlib.scalars import is_number
from ...graphlib.store.times import float_times

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class EdgeBank:
    """Score 1 for links seen before, else 0; with a window, only if last seen within that time.

    The last time counts, whatever the order in which events are observed.

    Parameters
    ----------
    window : float, optional
        In the units of the events' times; unlimited by default.
    directed : bool, default True

    References
    ----------
    F. Poursafaei et al., "Towards better evaluation for dynamic link prediction", arXiv:2207.10128, section 5.

    Examples
    --------
    >>> bank = EdgeBank(window=5)
    >>> bank.observe([0], [1], time=[10.0], edge_ids=[0])
    >>> positive, negative = bank([0, 0], [1, 1], [[2], [2]], time=[12.0, 16.0])
    >>> positive.tolist(), negative.ravel().tolist()
    ([1.0, 0.0], [0.0, 0.0])
    """

    def __init__(self, *, window: float | None = None, directed: bool = True) -> None:
        if window is not None and not (is_number(window) and window > 0):
            raise InvalidInput(f"window must be a time above 0, or None; got {window!r}")
        self.window = window
        self.directed = directed
        self._last: dict[tuple[int, int], float] = {}

    def reset(self) -> None:
        """Forget all events."""
        self._last.clear()

    def __call__(
        self, src: ArrayLike, dst: ArrayLike, negatives: ArrayLike, *, time: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Scores (n,) and (n, q)."""
        return _scores(self._score, src, dst, negatives, time)

    def observe(self, src: ArrayLike, dst: ArrayLike, *, time: ArrayLike, edge_ids: ArrayLike, epoch: int = 0) -> None:
        """Remember a batch of events."""
        for u, v, t in _rows(src, dst, time):
            pair = self._pair(u, v)
            self._last[pair] = max(t, self._last.get(pair, t))

    def _pair(self, u: int, v: int) -> tuple[int, int]:
        return (u, v) if self.directed or u <= v else (v, u)

    def _score(self, u: int, v: int, now: float) -> float:
        last = self._last.get(self._pair(u, v))
        return float(last is not None and (self.window is None or now - last <= self.window))


class CommonNeighbours:
    """Score a pair by the number of nodes that both have met.

    Examples
    --------
    >>> common = CommonNeighbours()
    >>> common.observe([0, 1], [2, 2], time=[1.0, 2.0], edge_ids=[0, 1])
    >>> common([0], [1], [[2]], time=[3.0])[0].tolist()
    [1.0]
    """

    def __init__(self) -> None:
        self._met: dict[int, set[int]] = {}

    def reset(self) -> None:
        """Forget all events."""
        self._met.clear()

    def __call__(
        self, src: ArrayLike, dst: ArrayLike, negatives: ArrayLike, *, time: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Scores (n,) and (n, q)."""
        return _scores(self._score, src, dst, negatives, time)

    def observe(self, src: ArrayLike, dst: ArrayLike, *, time: ArrayLike, edge_ids: ArrayLike, epoch: int = 0) -> None:
        """Remember a batch of events."""
        for u, v, _ in _rows(src, dst, time):
            self._met.setdefault(u, set()).add(v)
            self._met.setdefault(v, set()).add(u)

    def _score(self, u: int, v: int, now: float) -> float:
        return float(len(self._met.get(u, set()) & self._met.get(v, set())))


def _rows(src: ArrayLike, dst: ArrayLike, time: ArrayLike) -> Any:
    u, v = (unmasked(name, given) for name, given in (("src", src), ("dst", dst)))
    times = float_times(time)
    if u.ndim != 1 or not u.shape == v.shape == times.shape:
        raise InvalidInput(
            f"src, dst and time must have shape (n,), one per event; got {u.shape}, {v.shape} and {times.shape}"
        )
    if not np.isfinite(times).all():
        raise InvalidInput(f"times must be finite; time[{int(np.argmin(np.isfinite(times)))}] is not")
    return zip(u.tolist(), v.tolist(), times.tolist(), strict=True)


def _scores(score: Any, src: ArrayLike, dst: ArrayLike, negatives: ArrayLike, time: ArrayLike) -> Any:
    given: NDArray[Any] = unmasked("negatives", negatives)
    rows = list(_rows(src, dst, time))
    if given.ndim != 2 or given.shape[0] != len(rows):
        raise InvalidInput(f"negatives must have shape (n, q), a row for each of {len(rows)} events; got {given.shape}")
    far = given.tolist()
    positive = np.array([score(u, v, t) for u, v, t in rows], np.float64)
    negative = np.array([[score(u, w, t) for w in ws] for (u, _, t), ws in zip(rows, far, strict=True)], np.float64)
    return positive, negative.reshape(given.shape)
