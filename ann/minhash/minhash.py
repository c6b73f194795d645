"""MinHash signatures of many sets: neighbourhoods of a store, ragged integer sets, tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import unmasked
from ...graphlib.compute.jit import resolve_threads, threads_in_use
from ...graphlib.errors import IndexMismatch, InvalidInput, InvalidType
from ...graphlib.given_store import check_store
from ...graphlib.process import check_fits
from ...graphlib.scalars import PlainParameters
from ..metrics import check_count
from .schemes import EMPTY, SCHEMES, Scheme, SchemeName, make_scheme
from .sets import RaggedSets, element_keys, read_only

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore

_MOST_SLOTS = {"oph": 4096}
_TASKS_PER_THREAD = 16
_FEW_COMPARISONS = 1 << 15  # done before other threads have woken up


class MinHash(PlainParameters):
    """Signatures in which the share of equal slots estimates the Jaccard similarity of two sets.

    Parameters
    ----------
    num_perm : int, default 128
        Slots per signature (K), 1..65,536 (4,096 for "oph"). The standard deviation of an estimate is
        sqrt(J (1 - J) / K).
    scheme : str, default "kperm"
        "kperm": K affine permutations of 32-bit words, the family of datasketch 2. "datasketch": the same with tokens
        hashed by SHA-1, so that digests equal datasketch's `MinHash(num_perm, seed)`; "datasketch-legacy": those of
        datasketch before version 2. "oph": one hash per element, empty slots filled by optimal densification; quick for
        large sets. "cminhash": circulant shifts of one permutation. "probminhash": weighted sets, estimates the
        probability Jaccard similarity.
    seed : int, default 1
        0..2**63 - 1; the "kperm" and "datasketch" families use its lower 32 bits.
    universe : int, optional
        For "cminhash": elements are 0..universe - 1 and both permutations are drawn as tables. Without it they are
        keyed mixtures of all 32-bit words.
    threads : int, optional
        Default all cores. Signatures do not depend on it.

    Notes
    -----
    A set of f elements costs O(f K) ("kperm", "cminhash"), O(f + K) ("oph", more for sets smaller than K) or
    O(f + K log K) ("probminhash"). Elements above 32 bits are folded to 32. A slot of the empty set holds 2**32 - 1,
    and its similarity to every set is 0. Sets are read in blocks, so a memory-mapped store and `out` need little
    memory. Nodes of a store with user ids are hashed by id, so signatures do not depend on their order.

    References
    ----------
    A. Broder, "On the resemblance and containment of documents", SEQUENCES 1997. A. Shrivastava, "Optimal
    densification for fast and accurate minwise hashing", ICML 2017, arXiv:1703.04664. X. Li and P. Li, "C-MinHash",
    ICML 2022, arXiv:2109.03337. O. Ertl, "ProbMinHash", TKDE 2022, arXiv:1911.00675 (algorithm 3).

    Examples
    --------
    >>> from nearhop.ann import MinHash
    >>> minhash = MinHash(num_perm=256, seed=1)
    >>> signatures = minhash.fit_transform([range(0, 80), range(20, 100), []])
    >>> signatures.shape, signatures.dtype
    ((3, 256), dtype('uint32'))
    >>> bool(abs(minhash.similarity(signatures)[0, 1] - 0.6) < 0.1)
    True
    """

    def __init__(
        self,
        num_perm: int = 128,
        scheme: SchemeName = "kperm",
        *,
        seed: int = 1,
        universe: int | None = None,
        threads: int | None = None,
    ) -> None:
        self.num_perm = num_perm
        self.scheme = scheme
        self.seed = seed
        self.universe = universe
        self.threads = threads
        self._made: tuple[tuple[Any, ...], Scheme] | None = None

    def fit_transform(
        self,
        source: Any,
        *,
        weights: ArrayLike | None = None,
        edge_type: tuple[str, str, str] | None = None,
        direction: str = "out",
        out: NDArray[np.uint32] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> NDArray[np.uint32]:
        """One signature per set.

        Parameters
        ----------
        source : GraphStore, Adjacency, SciPy CSR matrix, (values, offsets), RaggedSets, 2-D integer array or list
            A store gives one set per node, its neighbours; a list holds collections of integers or of tokens (str or
            bytes); for texts see `shingles`.
        weights : float (num_elements,), optional
            For "probminhash", finite and >= 0; a store's edge weights are taken without asking.
        edge_type : tuple, optional
            Which edges of a store.
        direction : {"out", "in"}
            Whether a node's set holds the nodes it points to, or those that point to it.
        out : uint32 (num_sets, num_perm), optional
            Where signatures go, such as `store.nodes.create("minhash", (num_perm,), np.uint32)`, which lies on disk.
        progress : callable (done, total), optional
            Called after every block of sets.

        Returns
        -------
        uint32 (num_sets, num_perm)

        Raises
        ------
        InvalidInput, InvalidType
            Naming what was given and what is taken.
        """
        made = self._scheme()
        sets = RaggedSets.of(
            source, weights=weights, edge_type=edge_type, direction=direction, token_hash=made.token_hash
        )
        if out is None:
            out = np.empty((len(sets), self.num_perm), np.uint32)
        check_out(out, (len(sets), self.num_perm))
        with threads_in_use(self.threads) as count:
            for start, stop in sets.blocks():
                part = sets.part(start, stop)
                made.sign(part, balanced_bounds(part.offsets, count * _TASKS_PER_THREAD), plain(out)[start:stop])
                if progress is not None:
                    progress(stop, len(sets))
        return out

    def merge(
        self, left: NDArray[np.uint32], right: NDArray[np.uint32], *, out: NDArray[np.uint32] | None = None
    ) -> NDArray[np.uint32]:
        """Signatures of the unions: row i for the union of the sets of `left[i]` and `right[i]`.

        Every scheme but "probminhash" can; the result equals the signature of the joined set bit for bit. `out` may be
        one of the two.
        """
        merge = self._scheme().merge
        if merge is None:
            raise InvalidInput(
                f'scheme "{self.scheme}" cannot merge signatures: they do not hold the times that decide; sign the '
                "joined sets"
            )
        left, right = self.check_signatures(left, "left"), self.check_signatures(right, "right")
        if len(left) != len(right):
            raise InvalidInput(f"merge: left has {len(left)} rows, right has {len(right)}")
        if out is None:
            out = np.empty(left.shape, np.uint32)
        check_out(out, left.shape)
        with threads_in_use(self.threads):
            merge(left, right, plain(out))
        return out

    def update(
        self,
        signatures: NDArray[np.uint32],
        rows: ArrayLike,
        elements: ArrayLike,
        *,
        out: NDArray[np.uint32] | None = None,
    ) -> NDArray[np.uint32]:
        """Signatures after `elements[i]` joined set `rows[i]`, in time proportional to what was added.

        Rows beyond the last are new sets. The result is a copy; with `out=signatures` the rows concerned are changed in
        place. Signatures of a stream of edges can so be made from batches, without an adjacency.

        Examples
        --------
        >>> import numpy as np
        >>> from nearhop.ann import MinHash
        >>> minhash = MinHash(16)
        >>> before = minhash.fit_transform([[1, 2], [3]])
        >>> after = minhash.update(before, rows=[1, 2], elements=[4, 5])
        >>> bool((after == minhash.fit_transform([[1, 2], [3, 4], [5]])).all())
        True
        """
        signatures = self.check_signatures(signatures)
        row_ids: NDArray[Any] = np.atleast_1d(unmasked("rows", rows))
        values: NDArray[Any] = np.atleast_1d(unmasked("elements", elements))
        if row_ids.size and (row_ids.dtype.kind not in "iu" or row_ids.min() < 0):
            raise InvalidInput("update: rows must be integers >= 0")
        if row_ids.shape != values.shape or row_ids.ndim != 1:
            raise InvalidInput(f"update: rows {row_ids.shape} and elements {values.shape} must be as long")
        count = max(len(signatures), int(row_ids.max(initial=-1)) + 1)
        if out is None:
            check_fits(
                f"update: signatures of {count:,} rows, as the largest of `rows` asks for,", 4 * count * self.num_perm
            )
            out = np.full((count, self.num_perm), EMPTY, np.uint32)
            out[: len(signatures)] = signatures
        else:
            check_out(out, (count, self.num_perm))
            if not np.shares_memory(out, signatures):
                out[: len(signatures)], out[len(signatures) :] = signatures, EMPTY
        if row_ids.size:
            order = np.argsort(row_ids, kind="stable")
            ranked = row_ids[order]
            starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
            touched = ranked[starts]
            fresh = self.fit_transform((values[order], np.r_[starts, len(order)]))
            out[touched] = self.merge(out[touched], fresh)
        return out

    def append_edges(
        self,
        signatures: NDArray[np.uint32],
        store: GraphStore,
        first_edge: int,
        *,
        edge_type: tuple[str, str, str] | None = None,
        direction: str = "out",
        out: NDArray[np.uint32] | None = None,
    ) -> NDArray[np.uint32]:
        """Signatures of a store's nodes after edges were appended: those from edge id `first_edge` on.

        Equal to signing the whole store again, at the cost of the new edges. New nodes get rows.
        """
        check_store(store)
        if direction not in ("out", "in"):
            raise InvalidInput(f'direction must be "out" or "in"; got {direction!r}')
        edges = store.edge_list(edge_type)
        first_edge = check_count("first_edge", first_edge, low=0, high=len(edges))
        new = edges.slice(first_edge, len(edges))
        near, far = (new.src, new.dst) if direction == "out" else (new.dst, new.src)
        if not store.is_directed(edge_type):
            near, far = np.concatenate([near, far]), np.concatenate([far, near])
        keys = element_keys(store, edge_type, direction)
        adjacency = store.csr(edge_type) if direction == "out" else store.csc(edge_type)
        if len(signatures) < adjacency.num_rows and out is None:
            grown = np.full((adjacency.num_rows, self.num_perm), EMPTY, np.uint32)
            grown[: len(signatures)] = self.check_signatures(signatures)
            signatures = out = grown
        return self.update(signatures, near, far if keys is None else keys[far], out=out)

    def similarity(self, left: NDArray[np.uint32], right: NDArray[np.uint32] | None = None) -> NDArray[np.float32]:
        """Estimated similarity of every row of `left` with every row of `right` (or of `left`), float32."""
        from .affine_cpu import match_all, match_within

        left = self.check_signatures(left, "left")
        others = left if right is None else self.check_signatures(right, "right")
        out = np.empty((len(left), len(others)), np.float32)
        few = out.size < _FEW_COMPARISONS
        with threads_in_use(1 if few else self.threads):
            if right is None:
                match_within(left, out)
            else:
                match_all(left, others, out)
        return out

    def pair_similarity(self, signatures: NDArray[np.uint32], left: ArrayLike, right: ArrayLike) -> NDArray[np.float32]:
        """Estimated similarity of rows `left[i]` and `right[i]`, float32."""
        from .affine_cpu import match_pairs

        signatures = self.check_signatures(signatures)
        ends = [check_rows(name, given, len(signatures)) for name, given in (("left", left), ("right", right))]
        if len(ends[0]) != len(ends[1]):
            raise InvalidInput(f"left has {len(ends[0])} rows, right has {len(ends[1])}")
        out = np.empty(len(ends[0]), np.float32)
        with threads_in_use(self.threads):
            match_pairs(signatures, ends[0], signatures, ends[1], out)
        return out

    def check_signatures(self, given: Any, name: str = "signatures") -> NDArray[np.uint32]:
        """A matrix of signatures of this width, as kernels take it."""
        array = unmasked(name, given)
        if array.dtype != np.uint32 or array.ndim != 2:
            raise InvalidType(f"{name} must be uint32 of two dimensions; got {array.dtype} {array.shape}")
        if array.shape[1] != self.num_perm:
            raise IndexMismatch(f"{name} have {array.shape[1]} slots, this MinHash has num_perm={self.num_perm}")
        return read_only(array)

    def __getstate__(self) -> dict[str, Any]:
        """Parameters alone: what was compiled for them is made again."""
        return {**vars(self), "_made": None}

    def parameters(self) -> dict[str, Any]:
        """What decides the signatures, as JSON."""
        return {"num_perm": self.num_perm, "scheme": self.scheme, "seed": self.seed, "universe": self.universe}

    def _scheme(self) -> Scheme:
        given = (self.num_perm, self.scheme, self.seed, self.universe)
        if self._made is None or self._made[0] != given:
            if self.scheme not in SCHEMES:
                raise InvalidInput(f"scheme must be one of {', '.join(map(repr, SCHEMES))}; got {self.scheme!r}")
            num_perm = check_count("num_perm", self.num_perm, high=_MOST_SLOTS.get(self.scheme, 1 << 16))
            seed = check_count("seed", self.seed, low=0, high=(1 << 63) - 1)
            universe = self.universe
            if universe is not None:
                if self.scheme != "cminhash":
                    raise InvalidInput(f'universe belongs to scheme "cminhash"; the scheme is {self.scheme!r}')
                universe = check_count("universe", universe, low=num_perm, high=(1 << 31) - 1)
            resolve_threads(self.threads)
            self._made = given, make_scheme(self.scheme, num_perm, seed, universe)
        return self._made[1]

    def __repr__(self) -> str:
        return f"MinHash(num_perm={self.num_perm}, scheme={self.scheme!r}, seed={self.seed})"


def balanced_bounds(offsets: NDArray[np.int64], tasks: int) -> NDArray[np.int64]:
    """Cut rows into consecutive tasks of about equal work: elements, plus a little per row."""
    rows = len(offsets) - 1
    if rows <= tasks:
        return np.arange(rows + 1, dtype=np.int64)
    work = offsets + 4 * np.arange(rows + 1, dtype=np.int64)
    bounds = np.searchsorted(work, np.linspace(0, work[-1], tasks + 1)).astype(np.int64)
    bounds[0], bounds[-1] = 0, rows
    return bounds


def check_out(out: Any, shape: tuple[int, ...]) -> None:
    """`out` takes signatures of this shape."""
    if not isinstance(out, np.ndarray) or out.dtype != np.uint32 or out.shape != shape:
        kind = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise InvalidInput(f"out must be a uint32 array of shape {shape}; got {kind}")
    if not out.flags.writeable or not out.flags.c_contiguous:
        raise InvalidInput("out must be writable and C-contiguous")


def check_rows(name: str, given: ArrayLike, count: int) -> NDArray[np.int64]:
    """Row numbers in [0, count)."""
    rows: NDArray[Any] = np.atleast_1d(unmasked(name, given))
    if rows.size == 0:
        return np.empty(0, np.int64)
    if rows.dtype.kind not in "iu" or rows.ndim != 1:
        raise InvalidType(f"{name} must be integers of one dimension; got {rows.dtype} {rows.shape}")
    if rows.min() < 0 or rows.max() >= count:
        raise InvalidInput(f"{name} must be rows 0..{count - 1}; got {rows.min()}..{rows.max()}")
    return rows.astype(np.int64, copy=False)


def plain(array: NDArray[Any]) -> NDArray[Any]:
    """A memory map as an ordinary array, for which kernels are compiled already."""
    return array.view(np.ndarray)


__all__ = ["MinHash", "balanced_bounds", "check_out", "check_rows", "plain"]
