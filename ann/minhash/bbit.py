"""b-bit signatures: an eighth or less of the memory, for estimates between pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import unmasked
from ...graphlib.compute.jit import threads_in_use
from ...graphlib.errors import InvalidInput, InvalidType
from .minhash import check_rows
from .schemes import EMPTY
from .sets import read_only

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_BITS = (1, 2, 4, 8, 16)


@dataclass(frozen=True, eq=False, repr=False)
class BBitSignatures:
    """The lowest `bits` bits of every slot of MinHash signatures.

    Attributes
    ----------
    words : uint64 (n, ceil(num_perm * bits / 64))
    empty : bool (n,)
        Rows of empty sets, which are similar to nothing.
    num_perm, bits : int

    References
    ----------
    P. Li and A. C. König, "b-Bit minwise hashing", WWW 2010, arXiv:0910.3349; the estimator of the sparse limit:
    J = (P - 2^-b) / (1 - 2^-b), with P the share of equal slots.

    Examples
    --------
    >>> from nearhop.ann import BBitSignatures, MinHash
    >>> packed = BBitSignatures.pack(MinHash(512).fit_transform([range(90), range(10, 100)]), bits=2)
    >>> packed
    BBitSignatures(2 rows, 512 slots of 2 bits, 256 bytes)
    >>> bool(abs(packed.pair_similarity([0], [1])[0] - 0.8) < 0.1)
    True
    """

    words: NDArray[np.uint64]
    empty: NDArray[np.bool_]
    num_perm: int
    bits: int

    @classmethod
    def pack(cls, signatures: NDArray[np.uint32], *, bits: int = 2, threads: int | None = None) -> BBitSignatures:
        """Keep `bits` (1, 2, 4, 8 or 16) of the 32 bits of every slot."""
        from .bbit_cpu import pack_rows

        if bits not in _BITS or isinstance(bits, bool):
            raise InvalidInput(f"bits must be one of {_BITS}; got {bits!r}")
        given: NDArray[Any] = unmasked("signatures", signatures)
        if given.dtype != np.uint32 or given.ndim != 2 or not given.shape[1]:
            raise InvalidType(f"signatures must be uint32 of two dimensions; got {given.dtype} {given.shape}")
        words = np.empty((len(given), -(-given.shape[1] * bits // 64)), np.uint64)
        with threads_in_use(threads):
            pack_rows(read_only(given), bits, words)
        return cls(words, (given == EMPTY).all(axis=1), given.shape[1], bits)

    def pair_similarity(self, left: ArrayLike, right: ArrayLike, *, threads: int | None = None) -> NDArray[np.float32]:
        """Estimated Jaccard similarity of rows `left[i]` and `right[i]`, float32, not below 0.

        Its variance is P (1 - P) / (K (1 - 2^-b)^2).
        """
        from .bbit_cpu import packed_matches

        ends = [check_rows(name, given, len(self.words)) for name, given in (("left", left), ("right", right))]
        if len(ends[0]) != len(ends[1]):
            raise InvalidInput(f"left has {len(ends[0])} rows, right has {len(ends[1])}")
        equal = np.empty(len(ends[0]), np.int64)
        lowest = np.uint64(sum(1 << place for place in range(0, 64, self.bits)))
        with threads_in_use(threads):
            packed_matches(self.words, ends[0], self.words, ends[1], self.bits, lowest, self.num_perm, equal)
        chance = 2.0**-self.bits
        share = (equal / self.num_perm - chance) / (1 - chance)
        share[self.empty[ends[0]] | self.empty[ends[1]]] = 0
        return np.maximum(share, 0).astype(np.float32)

    def __len__(self) -> int:
        return len(self.words)

    def __repr__(self) -> str:
        slots = f"{self.num_perm} slots of {self.bits} bits"
        return f"BBitSignatures({len(self):,} rows, {slots}, {self.words.nbytes:,} bytes)"


__all__ = ["BBitSignatures"]
