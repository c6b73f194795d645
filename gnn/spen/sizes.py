"""Which ego networks share weights: classes of neighbouring sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import unmasked
from ...graphlib.errors import InvalidInput, InvalidType
from ...sampling.arguments import check_count

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

POLICIES = ("buckets", "frequent", "each", "log", "one")


@dataclass(frozen=True)
class SizeClasses:
    """Classes of sizes; class k holds sizes from `starts[k]` to before `starts[k + 1]`.

    Sizes below the first class belong to it, sizes above the last to that: every size has a class.

    Attributes
    ----------
    starts : tuple of int
        Rising.

    Examples
    --------
    >>> classes = SizeClasses.fit([2, 2, 3, 3, 9, 12, 17], min_count=2)
    >>> classes.starts, classes.of([1, 2, 3, 12, 40]).tolist()
    ((2, 3, 9, 17), [0, 0, 1, 2, 3])
    """

    starts: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.starts or any(a >= b for a, b in zip(self.starts, self.starts[1:], strict=False)):
            raise InvalidInput(f"starts must be one or more rising sizes; got {self.starts}")

    @classmethod
    def fit(cls, sizes: ArrayLike, *, policy: str = "buckets", min_count: int = 100) -> SizeClasses:
        """Classes for the sizes of some ego networks.

        Parameters
        ----------
        sizes : int array (num_egos,)
            Those to learn from.
        policy : {"buckets", "frequent", "each", "log", "one"}, default "buckets"
            What starts a class: "each" size that is there (the paper); "frequent" sizes only, which rarer ones above
            them join (the released code); "buckets" these and the smallest size of every octave 2^k .. 2^(k+1) - 1;
            "log" the octaves alone; "one" nothing: all share weights.
        min_count : int >= 1, default 100
            Ego networks that make a size frequent.
        """
        given: NDArray[Any] = unmasked("sizes", sizes)
        if given.dtype.kind not in "iu":
            raise InvalidType(f"sizes must hold integers; got dtype {given.dtype}")
        if policy not in POLICIES:
            raise InvalidInput(f"policy must be one of {', '.join(map(repr, POLICIES))}; got {policy!r}")
        if given.size == 0:
            raise InvalidInput("size classes need the size of at least one ego network")
        least = check_count("min_count", min_count, 1)
        found, counts = np.unique(given, return_counts=True)
        octave = np.floor(np.log2(np.maximum(found, 1))).astype(np.int64)
        first = np.append(True, np.diff(octave) > 0)
        starts = {
            "each": np.ones(found.shape[0], np.bool_),
            "frequent": counts >= least,
            "buckets": (counts >= least) | first,
            "log": first,
            "one": np.zeros(found.shape[0], np.bool_),
        }[policy]
        starts[0] |= not starts.any()
        return cls(tuple(int(size) for size in found[starts]))

    def of(self, sizes: ArrayLike) -> NDArray[np.int64]:
        """The class of every size."""
        return np.maximum(np.searchsorted(self.starts, unmasked("sizes", sizes), side="right") - 1, 0)

    def __len__(self) -> int:
        return len(self.starts)
