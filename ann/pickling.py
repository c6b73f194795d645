"""An index as bytes, for pickle, copy and joblib: those of the files that `save` writes.

So what comes back went through the checks of every reader, and a newer nearhop reads it.
"""

from __future__ import annotations

import inspect
import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from ..graphlib.disk.replacing import scratch_folder
from ..graphlib.errors import NotFitted, StoreCorrupt
from ..graphlib.store.store import open as open_store  # type: ignore[attr-defined, unused-ignore]

if TYPE_CHECKING:
    from .index import IdentifiedRows


def reduced(index: IdentifiedRows) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """What pickle keeps of an index: its class, the files it is saved as, and what files do not say."""
    options = {name: getattr(index, name) for name in inspect.signature(type(index)).parameters}
    with scratch_folder(None) as folder:
        try:
            index.save(folder / "index")
        except NotFitted:  # no rows yet
            return _made, (type(index), options)
        whole = folder / "index"
        parts = [whole] if whole.is_file() else sorted(part for part in whole.rglob("*") if part.is_file())
        files = {part.relative_to(folder).as_posix(): part.read_bytes() for part in parts}
    return _opened, (type(index), files, {"threads": options["threads"]})


def _made(kind: type[IdentifiedRows], options: dict[str, Any]) -> IdentifiedRows:
    return kind(**options)


def _opened(kind: Any, files: dict[str, bytes], options: dict[str, Any]) -> IdentifiedRows:
    """The index of these files; they lie in a temporary folder, from which it is mapped, as long as it is there."""
    folder = Path(tempfile.mkdtemp(prefix="nearhop-index-"))
    try:
        for name, data in files.items():
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise StoreCorrupt(f"a pickled index names a file outside its folder: {name!r}")
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        whole = folder / "index"
        index: IdentifiedRows = kind.load(whole) if hasattr(kind, "load") else kind._opened(open_store(whole))
        for name, value in options.items():
            setattr(index, name, value)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(index, shutil.rmtree, folder, ignore_errors=True)
    return index
