"""Labels of nodes and which of them are trained on, validated and tested."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.checks import kind_of, unmasked
from ...graphlib.compute.streams import Purpose, generator
from ...graphlib.errors import InvalidInput, InvalidType
from ...graphlib.given_store import check_store
from ...graphlib.scalars import INT64_MAX, integer, is_finite, is_integer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...graphlib.store.store import GraphStore

PARTS = ("train", "val", "test")


class NodeData:
    """Labels and a split of nodes.

    Parameters
    ----------
    labels : int array (n,)
        Classes from 0; negative where a node has none. Such nodes are in no part.
    train, val, test : int array or bool array (n,)
        Node ids, each once, or masks, which are bool. No node is in two parts.
    num_classes : int, optional
        By default one more than the largest label.
    split : str, default "given"
        Where the split comes from, to stand beside a figure.

    Attributes
    ----------
    labels : int64 (n,)
    train, val, test : int64, ascending
    num_classes : int
    split : str

    Raises
    ------
    InvalidType, InvalidInput
        Labels that are not integers, ids outside 0..n-1, masks of another dtype than bool, a node named twice, in two
        parts or without a label; masked entries.

    Examples
    --------
    >>> NodeData([0, 1, 0, 1], train=[0, 1], val=[2], test=[3])
    NodeData(4 nodes, 2 classes; train 2, val 1, test 1; split: given)
    """

    def __init__(
        self,
        labels: ArrayLike,
        train: ArrayLike,
        val: ArrayLike,
        test: ArrayLike,
        *,
        num_classes: int | None = None,
        split: str = "given",
    ) -> None:
        self.labels = _labels(labels)
        self.split = split
        count = int(self.labels.max(initial=-1)) + 1
        self.num_classes = count if num_classes is None else integer("num_classes", num_classes, 0)
        if self.num_classes < count:
            raise InvalidInput(f"num_classes is {num_classes}, but labels go up to {count - 1}")
        self.train, self.val, self.test = (
            _ids(name, part, self.labels) for name, part in zip(PARTS, (train, val, test), strict=True)
        )
        together = np.concatenate([self.train, self.val, self.test])
        twice = np.flatnonzero(np.bincount(together, minlength=1) > 1)
        if twice.shape[0]:
            raise InvalidInput(f"node {twice[0]} is in two parts of the split; train, val and test must not overlap")

    @property
    def num_nodes(self) -> int:
        return int(self.labels.shape[0])

    @classmethod
    def from_store(
        cls,
        store: GraphStore,
        labels: str = "y",
        *,
        masks: Sequence[str] = ("train_mask", "val_mask", "test_mask"),
    ) -> NodeData:
        """From node columns, as the public datasets have them.

        Examples
        --------
        >>> import numpy as np, nearhop
        >>> store = nearhop.GraphStore.from_edges([0, 1], [1, 2])
        >>> store.nodes["y"] = np.array([0, 1, 1])
        >>> for number, name in enumerate(("train_mask", "val_mask", "test_mask")):
        ...     store.nodes[name] = np.arange(3) == number
        >>> NodeData.from_store(store).test.tolist()
        [2]
        """
        check_store(store)
        if isinstance(masks, str) or not isinstance(masks, Sequence) or len(masks) != 3:
            raise InvalidInput(f"masks must name three node columns: training, validation, test; got {masks!r:.60}")
        for name in (labels, *masks):
            if not isinstance(name, str):
                raise InvalidType(f"labels and masks must be names of node columns; got {kind_of(name)}")
        missing = [name for name in (labels, *masks) if name not in store.nodes]
        if missing:
            raise InvalidInput(
                f"the store has no node column {missing[0]!r}; it has {', '.join(sorted(store.nodes)) or 'none'}. "
                "NodeData.random makes a split of labels alone"
            )
        count = store.attributes.get("num_classes")
        train, val, test = (np.asarray(store.nodes[name]) for name in masks)
        classes = count if is_integer(count) else None
        return cls(store.nodes[labels], train, val, test, num_classes=classes, split=", ".join(masks))

    @classmethod
    def random(cls, labels: ArrayLike, *, shares: Sequence[float] = (0.5, 0.25, 0.25), seed: int = 0) -> NodeData:
        """A random split of the nodes that have a label; every class may fall where it does.

        Parameters
        ----------
        labels : int array (n,)
        shares : three floats, default (0.5, 0.25, 0.25)
            Of training, validation and test; at most 1 together. The test part takes what rounding leaves where they
            make 1.
        seed : int, default 0

        Examples
        --------
        >>> import numpy as np
        >>> NodeData.random(np.arange(8) % 2, seed=1)
        NodeData(8 nodes, 2 classes; train 4, val 2, test 2; split: random 0.5/0.25/0.25, seed 1)
        """
        given = _labels(labels)
        wanted = tuple(shares) if isinstance(shares, Sequence) else ()
        if len(wanted) != 3 or not all(map(is_finite, wanted)) or min(wanted) < 0 or sum(wanted) > 1 + 1e-9:
            raise InvalidInput(f"shares must be three numbers >= 0 that make at most 1; got {shares!r:.80}")
        known = np.flatnonzero(given >= 0)
        order = known[generator(seed, Purpose.NODE_SPLIT).permutation(known.shape[0])]
        ends = np.round(np.cumsum(shares) * known.shape[0]).astype(np.int64)
        train, val, test = (np.sort(part) for part in np.split(order, ends)[:3])
        told = f"random {'/'.join(f'{share:g}' for share in shares)}, seed {seed}"
        return cls(given, train, val, test, split=told)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {getattr(self, name).shape[0]:,}" for name in PARTS)
        return f"NodeData({self.num_nodes:,} nodes, {self.num_classes} classes; {sizes}; split: {self.split})"


def _labels(labels: ArrayLike) -> NDArray[np.int64]:
    given: NDArray[Any] = unmasked("labels", labels)
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise InvalidType(f"labels must be integers (n,), one class per node; got {given.dtype} {given.shape}")
    if given.size and given.max() > INT64_MAX:
        raise InvalidInput(f"labels are classes from 0, negative where a node has none; the largest is {given.max()}")
    return given.astype(np.int64)


def _ids(name: str, given: ArrayLike, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    ids: NDArray[Any] = unmasked(name, given)
    count = labels.shape[0]
    if ids.dtype == bool:
        if ids.shape != (count,):
            raise InvalidInput(f"{name}: a mask must have shape ({count},), one entry per node; got {ids.shape}")
        ids = np.flatnonzero(ids)
    elif ids.ndim != 1 or (ids.shape[0] and ids.dtype.kind not in "iu"):
        raise InvalidType(f"{name} must be node ids (k,) or a bool mask; got {ids.dtype} {ids.shape}")
    elif 2 < count == ids.shape[0] and ((ids == 0) | (ids == 1)).all():
        raise InvalidInput(
            f"{name} holds a 0 or a 1 for each of the {count} nodes, as a mask does; give it as bool, with "
            "astype(bool), or name node ids, each once"
        )
    ids = np.sort(ids.astype(np.int64))
    if ids.shape[0] and (ids[0] < 0 or ids[-1] >= count):
        raise InvalidInput(f"{name}: node ids must be 0..{count - 1}; they are {ids[0]}..{ids[-1]}")
    again = ids[1:][ids[1:] == ids[:-1]]
    if again.shape[0]:
        raise InvalidInput(f"{name} names node {again[0]} twice; name every node once, as np.unique does")
    without = ids[labels[ids] < 0]
    if without.shape[0]:
        raise InvalidInput(f"{name}: node {without[0]} has no label (y = {labels[without[0]]}); leave such nodes out")
    return ids
