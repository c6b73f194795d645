"""Machine code of kernels on disk: compiled once for a source, a processor and a version of Numba.

Code lies in `cache_folder()/kernels`, or where NUMBA_CACHE_DIR says, under a name made of the content of the kernel's
module and of every module of nearhop that it imports, for their constants and code are part of it. It therefore
survives a reinstallation, is shared by environments and checkouts that hold the same source, and is never used for
another. A folder that can only be read is used too (a container whose image was made with `nearhop warm`). Each kernel
and signature has files of its own, so that processes that compile at the same time do not disturb each other.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile, InTreeCacheLocator

from ...cache_folder import cache_folder

_PACKAGE = Path(__file__).resolve().parents[3]
_IMPORT = re.compile(r"^from (\.+)([\w.]*) import (\([^)]*\)|[^\n(]+)", re.MULTILINE)


class _Locator(InTreeCacheLocator):
    """The folder of a kernel's module, by content."""

    def __init__(self, py_func: Any, py_file: str) -> None:
        super().__init__(py_func, py_file)
        self._digest = source_digest(Path(py_file).resolve())
        self._cache_path = str(kernel_folder() / f"{Path(py_file).stem}-{self._digest[:20]}")

    def get_source_stamp(self) -> str:
        return self._digest

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> Any:
        if not os.path.exists(py_file):
            return None
        located = cls(py_func, py_file)
        return located if _is_usable(kernel_folder()) else None


class _Impl(CompileResultCacheImpl):
    _locator_classes: list[Any] = [_Locator, InTreeCacheLocator]  # noqa: RUF012, as the base class has it


class SignedFiles:
    """What makes a cache of Numba's hold one file per signature; what cannot be read is compiled again.

    `_kind` tells apart what is compiled from one function in several ways.
    """

    _kind = ""
    _impl: Any
    _index_key: Any
    _cache_path: str

    def _load_overload(self, sig: Any, target_context: Any) -> Any:
        key = self._index_key(sig, target_context.codegen())
        try:
            data = self._file(key).load(key)
            return None if data is None else self._impl.rebuild(target_context, data)
        except Exception:  # a damaged or foreign file: as if there were none
            return None

    def _save_overload(self, sig: Any, data: Any) -> None:
        if not self._impl.check_cachable(data):
            return
        key = self._index_key(sig, data.codegen)
        try:
            self._impl.locator.ensure_cache_path()
            self._file(key).save(key, self._impl.reduce(data))
        except OSError:  # a full disk, or a folder that can only be read
            return

    def _file(self, key: Any) -> _SignedFile:
        signature = hashlib.sha256((repr(key) + self._kind).encode()).hexdigest()[:16]
        stamp = self._impl.locator.get_source_stamp()
        return _SignedFile(self._cache_path, f"{self._impl.filename_base}-{signature}", stamp)


class KernelCache(SignedFiles, FunctionCache):
    """Numba's cache of one function of the processor; see `SignedFiles` for `kind`."""

    _impl_class = _Impl

    def __init__(self, function: Any, kind: str = "") -> None:
        super().__init__(function)
        self._kind = kind


def device_cache(function: Any) -> Any:
    """The cache of one CUDA kernel, which keeps machine code per compute capability and version of the compiler.

    Raises
    ------
    ImportError, AttributeError
        There is no numba-cuda, or one that is built otherwise.
    RuntimeError
        The folder cannot be used.
    """
    dispatcher = importlib.import_module("numba.cuda.dispatcher")

    class Impl(dispatcher.CUDACacheImpl):  # type: ignore[name-defined]
        _locator_classes: list[Any] = [_Locator]  # noqa: RUF012, as the base class has it

    class Cache(SignedFiles, dispatcher.CUDACache):  # type: ignore[name-defined]
        _impl_class = Impl

    return Cache(function)


class _SignedFile(IndexDataCacheFile):
    """The code of one signature, in a file whose name says what its bytes add up to."""

    def save(self, key: Any, data: Any) -> None:
        name = self._data_name(int.from_bytes(hashlib.sha256(self._dump(data)).digest()[:8], "little"))
        self._save_data(name, data)
        self._save_index({key: name})

    def load(self, key: Any) -> Any:
        name = self._load_index().get(key)
        if name is None:
            return None
        found = hashlib.sha256(Path(self._data_path(name)).read_bytes()).digest()[:8]
        return self._load_data(name) if name == self._data_name(int.from_bytes(found, "little")) else None


def kernel_folder() -> Path:
    """Where the machine code of this Python and this Numba lies."""
    named: str = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    root = Path(named) if named else cache_folder() / "kernels"
    checked = "-checked" if numba.config.BOUNDSCHECK else ""  # type: ignore[attr-defined]
    return root / f"numba-{numba.__version__}-{sys.implementation.cache_tag}{checked}"


@cache
def _is_usable(folder: Path) -> bool:
    """Whether the folder is this user's or the administrator's, and can be written to or holds code."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if hasattr(os, "geteuid") and folder.stat().st_uid not in (os.geteuid(), 0):
            return False
        if not os.access(folder, os.W_OK):
            return any(folder.iterdir())
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


@cache
def source_digest(path: Path) -> str:
    """SHA-256 of a kernel module and of what it imports of nearhop: constants and callees are part of its code."""
    digest = hashlib.sha256()
    for module in sorted(_with_imports(path, set())):
        digest.update(module.read_bytes())
    return digest.hexdigest()


def _with_imports(path: Path, met: set[Path]) -> set[Path]:
    if path in met:
        return met
    met.add(path)
    if _PACKAGE in path.parents:
        for dots, name, names in _IMPORT.findall(path.read_text(encoding="utf-8")):
            folder = path.parents[len(dots) - 1].joinpath(*filter(None, name.split(".")))
            imported = [folder.with_suffix(".py"), *(folder / f"{part}.py" for part in re.findall(r"\w+", names))]
            for module in imported:
                if module.is_file():
                    _with_imports(module, met)
    return met
