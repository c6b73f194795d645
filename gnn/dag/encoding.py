"""Where in a directed acyclic graph a node lies, as numbers that a network can read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import unmasked
from ...graphlib.errors import InvalidInput
from ...graphlib.scalars import is_finite, is_integer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def level_encoding(level: ArrayLike, *, frequencies: int = 4, period: float = 200.0) -> NDArray[np.float32]:
    """Levels as the number itself, and as sines and cosines of rising frequency.

    Parameters
    ----------
    level : integers or floats (n,)
        Such as `topological_levels(store).level`.
    frequencies : int, default 4
        L; 0 gives the raw level alone.
    period : float, default 200
        P, the level at which the slowest wave has gone through half a turn.

    Returns
    -------
    float32 (n, 1 + 2 L)
        Columns level, sin(2^l pi level / P) for l = 0 .. L - 1, then the cosines.

    References
    ----------
    Zhong et al., "PreRoutGNN for timing prediction with order preserving partition", AAAI 2024, arXiv:2403.00012.

    Examples
    --------
    >>> abs(level_encoding([0, 100], frequencies=1)).round(3).tolist()
    [[0.0, 0.0, 1.0], [100.0, 1.0, 0.0]]
    """
    given: NDArray[Any] = unmasked("level_encoding: level", level)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iuf"):
        raise InvalidInput(f"level_encoding: level must be numbers of one dimension; got {given.dtype} {given.shape}")
    values = given.astype(np.float64)
    if not is_integer(frequencies) or not 0 <= frequencies <= 32:
        raise InvalidInput(f"level_encoding: frequencies must be 0 to 32; got {frequencies!r}")
    if not is_finite(period) or period <= 0:
        raise InvalidInput(f"level_encoding: period must be positive; got {period!r}")
    angles = values[:, None] * (np.pi / period * 2.0 ** np.arange(frequencies))
    return np.concatenate([values[:, None], np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)
