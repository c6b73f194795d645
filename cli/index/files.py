"""Index files of every kind: opened by content, written whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ...graphlib.errors import IndexMismatch, InvalidInput, StoreExists
from ..output import note
from ..words import integer_ids
from .attributes import check_added, joined

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...graphlib.store.store import GraphStore

FORMATS = ("nearhop", "hnswlib", "faiss")
_OTHERS = {"lsh": "signatures", "cann": "colours"}  # kinds whose rows are no vectors
_SUFFIXES = {".bin": "hnswlib", ".hnswlib": "hnswlib", ".faiss": "faiss", ".index": "faiss"}


@dataclass(frozen=True, eq=False)
class Opened:
    """An index, and where it came from.

    `form` is one of `FORMATS`, `detail` the class inside the file. `store` is the store that is or holds the index, and
    `inside` says that it holds it beside the column it indexes.
    """

    path: Path
    index: Any
    form: str
    detail: str
    store: GraphStore | None = None
    inside: bool = False

    def user_ids(self, found: NDArray[Any]) -> NDArray[Any]:
        """Text ids for positions, where the store has them; integer ids come from the index itself."""
        ids = self.store.ids() if self.store is not None and self.inside else None
        if ids is None or ids.dtype.kind == "i" or found.dtype.kind == "T":
            return found
        named = ids[np.maximum(found, 0)]
        named[found < 0] = ""
        return named

    def faiss_options(self) -> dict[str, Any]:
        """How a FAISS file keeps its vectors and the beam width it starts with, to write it again alike."""
        from ...ann.formats.faiss_read import parse_faiss
        from ...ann.formats.scalar_codes import WRITABLE

        if self.form != "faiss" or hasattr(self.index, "factory"):
            return {}
        parsed = parse_faiss(self.path)
        if parsed.storage not in ("float32", *WRITABLE):
            note(f"the vectors are coded as {parsed.storage}, which is not written here; they are kept as float32")
            return {}
        ef_search = 64 if parsed.graph is None else max(1, parsed.graph.ef_search)
        return {"storage": parsed.storage, "ef_search": ef_search}

    def attributes(self, node_type: str = "node") -> dict[str, NDArray[Any]]:
        """The columns that are carried along with the rows of an index that is a store."""
        if self.store is None or self.inside or not hasattr(self.index, "COLUMNS"):
            return {}
        columns = self.store.nodes(node_type)
        own = self.index.COLUMNS if node_type == "node" else {"dead"}
        return {name: np.asarray(columns[name]) for name in sorted(set(columns) - own)}


def open_index(path: Path, name: str = "hnsw", metric: str | None = None, *, kinds: tuple[str, ...] = ()) -> Opened:
    """The index that a file or folder is, or the one of a name that a store holds.

    `IndexMismatch` for one of sets or colours, unless its kind is among `kinds`.
    """
    from ...ann import load
    from ...ann.formats import detect
    from ...ann.opening import attach
    from ...graphlib.store.store import open as open_store

    kind = detect(path)
    form = "hnswlib" if kind.name.startswith("hnswlib") else kind.name
    if form != "nearhop":
        return Opened(path, load(path, metric=cast("Any", metric)), form, kind.detail)
    store = open_store(path)
    if "index" in store.attributes:
        index: Any = load(path, metric=cast("Any", metric))
        if index.KIND in _OTHERS and index.KIND not in kinds:
            raise IndexMismatch(f"{path} is an index of {_OTHERS[index.KIND]}; this command works on single vectors")
        return Opened(path, index, form, type(index).__name__, store)
    index = attach(store, name)
    if metric is not None and metric != index.metric:
        raise IndexMismatch(f"{path}, index {name}: its metric is {index.metric!r}; --metric {metric} was asked for")
    return Opened(path, index, form, type(index).__name__, store, inside=True)


def as_the_index(index: Any, ids: list[str]) -> list[Any]:
    """Ids from the command line, which are text there, as an index has them."""
    if index.ids.dtype.kind == "T":
        return list(ids)
    return integer_ids(ids, "the ids of this index")


def only_of_colors(given: Any, option: str) -> None:
    """Refuse an option that single vectors have no use for."""
    if given:
        raise InvalidInput(f"{option} is for an index of colours (--kind cann); this one is of single vectors")


def format_for(path: Path, wanted: str | None) -> str:
    """The format to write: the one asked for, else by the path's ending, else nearhop's own."""
    if wanted is None:
        return _SUFFIXES.get(path.suffix, "nearhop")
    if wanted not in FORMATS:
        raise InvalidInput(f"--format must be {', '.join(FORMATS[:-1])} or {FORMATS[-1]}; got {wanted!r}")
    return wanted


def check_free(path: Path, *, replace: bool) -> None:
    """See that an index can be written to a path: it is free, or holds an index that is to be replaced."""
    from ...ann.formats import detect
    from ...graphlib.store.store import open as open_store

    if not path.exists():
        return
    if not replace:
        raise StoreExists(
            f"{path} exists already, and nothing was written; choose another --out, or use --replace if it is an index"
        )
    if detect(path).name == "nearhop" and "index" not in open_store(path).attributes:
        raise StoreExists(f"{path} is a store and no index, and it is not replaced; choose another --out")


def save_changed(
    opened: Opened, done: str, attributes: dict[str, Any], of_colors: dict[str, Any] | None = None, *,
    out: Path | None = None,
) -> Path:  # fmt: skip
    """Write a changed index where it came from, in one step, or to `out`; where it is. `done` says what changed."""
    target = out or opened.path
    if out is None and opened.store is not None:
        from ...ann.replacing import replace_saved

        replace_saved(opened.index, opened.store, attributes, of_colors)
        opened.store.commit(done)
        return target
    form = opened.form if out is None else format_for(target, None if target.suffix else opened.form)
    alike = opened.faiss_options() if form == "faiss" else {}
    save_index(opened.index, target, form, replace=out is None, attributes=attributes, of_colors=of_colors, **alike)
    return target


def save_index(
    index: Any,
    path: Path,
    form: str,
    *,
    replace: bool = False,
    storage: str = "float32",
    ef_search: int = 64,
    attributes: dict[str, NDArray[Any]] | None = None,
    of_colors: dict[str, NDArray[Any]] | None = None,
) -> None:
    """Write an index in one of `FORMATS`; a file that is there is replaced only on request, and whole or not at all."""
    from ...ann.formats import write_faiss, write_hnswlib, write_hnswlib_flat

    if path.exists() and not replace:
        raise StoreExists(f"{path} exists already, and nothing was written; choose another --out or remove it first")
    if attributes and form != "nearhop":
        note(f"{form} files hold no attributes; left out: {', '.join(attributes)}")
    taken = sorted(set(attributes or {}) & getattr(index, "COLUMNS", set())) if form == "nearhop" else []
    if taken:
        raise InvalidInput(
            f"attributes cannot be called {', '.join(taken)}: the index has columns of its own of these names; rename "
            "the columns of the source"
        )
    if index.KIND == "cann" and form != "nearhop":
        raise InvalidInput(f"{form} files hold no colours; a CANN index is written as nearhop")
    if index.KIND == "faiss":
        if form != "faiss":
            raise InvalidInput(f"a FAISS {index.factory} index cannot be written as {form}; convert takes its vectors")
        index.save(path, overwrite=replace)
    elif form == "faiss":
        if index.KIND == "hnsw" and index._rows.num_dead:
            note(f"FAISS cannot mark deleted rows: {index._rows.num_dead:,} are dropped and the graph is built anew")
            index.compact()
        write_faiss(index, path, overwrite=replace, storage=storage, ef_search=ef_search)
    elif form == "hnswlib":
        write: Any = {"exact": write_hnswlib_flat, "hnsw": write_hnswlib}.get(index.KIND)
        if write is None:
            raise InvalidInput(
                f"hnswlib has no inverted files; a {type(index).__name__} is written as nearhop or faiss"
            )
        write(index, path, overwrite=replace)
    elif path.exists():
        _next_version(index, path, attributes or {}, of_colors)
    else:
        _save_store(index, path, attributes or {}, of_colors)


def carried(before: Opened, index: Any, new_ids: NDArray[Any], new: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The attributes of an index after rows were added or dropped: every row keeps its own, found by its id."""
    old = before.attributes()
    if len(new_ids):
        check_added(before.path, "rows", old, new, before.form)
    if not old:
        return {}
    old_ids = before.store.ids("node") if before.store is not None else None
    count = len(next(iter(old.values())))
    known = [*(range(count) if old_ids is None else old_ids.tolist()), *new_ids.tolist()]
    at = places(known, index.ids)
    all_rows = joined(before.path, old, new) if len(new_ids) else old
    return {name: values[at] for name, values in all_rows.items()}


def places(known: list[Any], ids: NDArray[Any]) -> NDArray[np.int64]:
    """Where ids stand among the known ones: the last place of each, which is the newest row; 0 for others."""
    place_of = dict(zip(known, range(len(known)), strict=True))
    return np.array([place_of.get(i, 0) for i in ids.ravel().tolist()], np.int64).reshape(ids.shape)


def vectors_of(index: Any) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """The rows that are not deleted, and their ids; "cosine" rows as the index keeps them."""
    return index.vectors(), index.ids[index._rows.live]


def knob_of(index: Any) -> str | None:
    """The option of a search that trades speed for recall."""
    return index.knob


def _next_version(index: Any, path: Path, attributes: dict[str, NDArray[Any]], of_colors: Any) -> None:
    """The index as the next version of the one that is there."""
    from ...ann.replacing import replace_saved
    from ...graphlib.store.store import open as open_store

    if path.is_file():
        raise StoreExists(f"{path} is a file of another library; an index of nearhop is a folder: choose another --out")
    with open_store(path) as store:
        replace_saved(index, store, attributes, of_colors)
        store.commit(f"built anew with {len(index):,} rows")


def _save_store(index: Any, path: Path, attributes: dict[str, NDArray[Any]], of_colors: Any) -> None:
    """A new store that appears whole, with the attributes beside the rows."""
    store = index.as_store()
    for node_type, columns in (("node", attributes), ("color", of_colors or {})):
        for name, values in columns.items():
            store.nodes(node_type)[name] = values
    store.save(path)
