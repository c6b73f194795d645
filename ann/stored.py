"""What index files have in common: fields, rows and ids in a store; arrays and numbers, and no kind of index.

Rows are nodes of type "node" with a column "vector"; deleted ones are marked in a column "dead"; parameters are the
store's attribute "index".
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graphlib.compute.jit import plain_view
from ..graphlib.errors import IndexMismatch, InvalidInput, NotFound, StoreCorrupt
from .ids import RowIds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..graphlib.store.store import GraphStore

NODE = "node"


def new_store(vectors: NDArray[Any], rows: RowIds) -> GraphStore:
    """A store of these rows, which are not copied, and their ids."""
    from ..graphlib.store.store import GraphStore

    store = GraphStore()
    store.add_node_type(NODE, len(vectors))
    store.nodes["vector"] = vectors
    put_ids(store, rows, NODE)
    return store


def put_ids(store: GraphStore, rows: RowIds, node_type: str) -> None:
    """Write the ids of rows, and which are deleted, to the nodes that stand for them."""
    ids = rows.values.copy()
    if rows.num_dead:
        # The id of a deleted row may have been given again; stored ids are distinct, so deleted rows get unused ones.
        ids[rows.dead] = rows.unused(rows.num_dead)
        store.nodes(node_type)["dead"] = rows.dead
    if rows.is_text or not np.array_equal(ids, np.arange(len(ids))):
        store.set_ids(ids, node_type)


def index_fields(store: GraphStore) -> dict[str, Any]:
    """The parameters of the index that a store is; `IndexMismatch` where it is none."""
    given = store.attributes.get("index")
    if given is None:
        inside = next(iter(store.indexes), None)
        its = "" if inside is None else f", and its index {inside!r} with HNSW.attach(store, {inside!r})"
        raise IndexMismatch(
            f"{name_of(store)} holds no index of its own, as a graph does not; open it with nearhop.open{its}"
        )
    return checked_fields(given, {"kind": str})


def checked_fields(given: Any, wanted: dict[str, type]) -> dict[str, Any]:
    """Parameters as a file gives them, of these types at least."""
    if not isinstance(given, dict):
        raise IndexMismatch(f"the index's parameters must be a JSON object; got {type(given).__name__}")
    for name, kind in wanted.items():
        value = given.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise IndexMismatch(f"index parameter {name!r} must be {kind.__name__}; got {value!r}")
    return given


def next_id_field(rows: RowIds) -> dict[str, int]:
    """Where default ids go on, as a field of an index's parameters; nothing where the living ids tell it."""
    after = int(rows.values[rows.live].max(initial=-1)) + 1 if not rows.is_text else 0
    return {"next_id": rows.next_id} if rows.next_id > after else {}


def next_id_of(given: dict[str, Any]) -> int:
    """What `next_id_field` wrote; 0 where it wrote nothing."""
    value = given.get("next_id", 0)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise IndexMismatch(f"index parameter 'next_id' must be an integer in [0, 2**63); got {value!r}")
    return value


def identified_rows(store: GraphStore, given: dict[str, Any], ids: NDArray[Any], node_type: str = NODE) -> RowIds:
    """Ids, marks of deleted rows and the next default id, as a store holds them."""
    dead = None
    columns = store.nodes(node_type)
    if "dead" in columns:
        dead = columns["dead"]
        if dead.dtype != np.bool_ or dead.shape != (len(ids),):
            raise IndexMismatch(f"column 'dead' must be bool of {len(ids)} rows; got {dead.dtype} {dead.shape}")
        dead = np.array(dead)
    return RowIds(ids, dead, next_id=next_id_of(given))


def laid_out(name: str, array: NDArray[Any], dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """A column as kernels take and change it (its pages are private); `IndexMismatch` where it is another."""
    if array.dtype != dtype or array.shape != shape or not array.flags.c_contiguous or not array.flags.aligned:
        raise IndexMismatch(f"column {name!r} must be {np.dtype(dtype)} {shape}; got {array.dtype} {array.shape}")
    return plain_view(array)


@contextlib.contextmanager
def sound(store: GraphStore) -> Iterator[None]:
    """Errors about parts of an index that do not fit one another, raised inside, as `StoreCorrupt` of that store."""
    try:
        yield
    except (IndexMismatch, InvalidInput, NotFound) as error:
        raise StoreCorrupt(f"{name_of(store)}: {error}") from error


def name_of(store: GraphStore) -> str:
    """The name of a store's folder."""
    return "the store" if store.path is None else store.path.name
