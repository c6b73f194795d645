"""Files that others made: NumPy, zip and gzip inputs of which any byte may be wrong, read without a surprise.

Every room reads such files through this module. Nothing is unpickled; what a head promises is compared with the bytes
that are there before memory is taken; and whatever a parser raises on damaged bytes becomes one error that names the
file.
"""

from __future__ import annotations

import ast
import contextlib
import gzip
import io
import math
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from .errors import NearhopError, StoreCorrupt, StoreMissing

if TYPE_CHECKING:
    from numpy.typing import NDArray

NPY_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 10_000  # NumPy's own limit for headers that are parsed as Python literals
_PIECE = 1 << 22
_DEFLATE_RATIO = 1100  # deflate packs at most 1,032 bytes into one
_KINDS = "biufcSUMmV"


@contextlib.contextmanager
def guarded(name: object, what: str, error: type[NearhopError] = StoreCorrupt) -> Iterator[None]:
    """Turn whatever a parser raises on the bytes of a file into one error that names the file.

    Parsers of damaged files raise nearly every built-in exception; put nothing else than their calls inside.

    Parameters
    ----------
    name : str or Path
        The file, as the message names it.
    what : str
        What it should be: "a gzip file".
    error : subclass of NearhopError, default StoreCorrupt

    Examples
    --------
    >>> from nearhop.graphlib.guarded import guarded
    >>> with guarded("a.txt", "a list"):
    ...     [][0]
    Traceback (most recent call last):
    nearhop.graphlib.errors.StoreCorrupt: a.txt is not a list, or is damaged (IndexError: list index out of range)
    """
    try:
        yield
    except NearhopError:
        raise
    except FileNotFoundError as reason:
        raise StoreMissing(f"there is no file {name}") from reason
    except Exception as reason:
        text = " ".join(str(reason).split())[:300]
        told = text if type(reason) is ValueError else f"{type(reason).__name__}: {text}"
        raise error(f"{name} is not {what}, or is damaged ({told})") from reason


def check_regular(path: Path, error: type[NearhopError] = StoreCorrupt) -> int:
    """The size of a plain file in bytes; folders, pipes and devices are refused, which could be read for ever."""
    if not path.exists():
        raise StoreMissing(f"there is no file {path}")
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "a pipe, socket or device"
        raise error(f"{path} is {kind}, and a plain file is needed")
    return path.stat().st_size


def read_numpy(
    source: Path | bytes,
    *,
    name: str | None = None,
    error: type[NearhopError] = StoreCorrupt,
    what: str = "a .npy or .npz file",
) -> Any:
    """The array of a .npy file, or the `Npz` of a zip archive of them, judged by content.

    Parameters
    ----------
    source : Path or bytes
        A .npy file is mapped read-only; bytes are copied.
    name : str, optional
        How messages name it; by default the path.
    error : subclass of NearhopError, default StoreCorrupt
        What is raised for a file that is not whole.
    what : str
        What messages say it should be.

    Raises
    ------
    StoreMissing
    StoreCorrupt, or `error`
        Neither kind of file, cut short, damaged, or holding Python objects.

    Examples
    --------
    >>> import numpy as np
    >>> from pathlib import Path
    >>> from nearhop.graphlib.guarded import read_numpy
    >>> np.save("a.npy", np.arange(3)); np.savez("b.npz", x=np.arange(3), y=np.eye(2))
    >>> read_numpy(Path("a.npy")).tolist(), sorted(read_numpy(Path("b.npz")))
    ([0, 1, 2], ['x', 'y'])
    """
    shown = name or str(source if isinstance(source, Path) else "the data")
    size = check_regular(source, error) if isinstance(source, Path) else len(source)
    with guarded(shown, what, error):
        stream: IO[bytes] = source.open("rb") if isinstance(source, Path) else io.BytesIO(source)
        with stream:
            start = stream.read(len(NPY_MAGIC))
            if start[:4] == b"PK\x03\x04" or start[:4] == b"PK\x05\x06":
                return Npz(source, name=shown, error=error)
            stream.seek(0)
            head = _Head.read(stream, size)
            if not isinstance(source, Path) or head.nbytes == 0:
                return _checked(head.fill(stream))
            order: Any = "F" if head.fortran else "C"
            return _checked(np.memmap(source, head.dtype, "r", stream.tell(), head.shape, order))


def read_npy(
    source: Path | bytes, *, name: str | None = None, error: type[NearhopError] = StoreCorrupt
) -> NDArray[Any]:
    """As `read_numpy`, of one array: an archive is refused."""
    found = read_numpy(source, name=name, error=error, what="a .npy file")
    if isinstance(found, Npz):
        raise error(f"{found.name} is an archive of several arrays, and a .npy file of one is needed")
    array: NDArray[Any] = found
    return array


class Npz(Mapping[str, "NDArray[Any]"]):
    """The arrays of an .npz file by name, each read when it is asked for and checked against its checksum.

    Parameters
    ----------
    source : Path or bytes
    name : str, optional
        How messages name it; by default the path.
    error : subclass of NearhopError, default StoreCorrupt

    Examples
    --------
    >>> import numpy as np
    >>> from pathlib import Path
    >>> from nearhop.graphlib.guarded import Npz
    >>> np.savez("pair.npz", src=np.array([0, 1]), dst=np.array([1, 2]))
    >>> archive = Npz(Path("pair.npz"))
    >>> archive["dst"].tolist(), "weight" in archive
    ([1, 2], False)
    """

    def __init__(
        self, source: Path | bytes, *, name: str | None = None, error: type[NearhopError] = StoreCorrupt
    ) -> None:
        self.name = name or str(source if isinstance(source, Path) else "the data")
        self._error = error
        self._size = check_regular(source, error) if isinstance(source, Path) else len(source)
        self._members: dict[str, zipfile.ZipInfo] = {}
        with self._guarded():
            self._archive = zipfile.ZipFile(source if isinstance(source, Path) else io.BytesIO(source))
            for member in self._archive.infolist():
                if not member.filename.endswith(".npy"):
                    continue
                key = member.filename.removesuffix(".npy")
                if key in self._members:
                    raise error(f"{self.name} holds two arrays called {key!r}")
                self._members[key] = member

    def __getitem__(self, name: str) -> NDArray[Any]:
        member = self._members[name]
        packed, size = member.compress_size, member.file_size
        if packed > self._size or size > _DEFLATE_RATIO * packed + 64:
            raise self._error(f"{self.name}: its array {name!r} promises {size:,} bytes in {packed:,}; it is damaged")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.flag_bits & 1:
            raise self._error(f"{self.name}: its array {name!r} is packed in a way that NumPy does not write")
        with self._guarded(), self._archive.open(member) as stream:
            array = _Head.read(stream, size).fill(stream)
            if stream.read(1):  # reading to the end checks the checksum
                raise self._error(f"{self.name}: more follows its array {name!r} than the head of it promises")
            return _checked(array)

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def take(self, *names: str) -> list[NDArray[Any]]:
        """Several arrays, or the error that names what is missing."""
        missing = [name for name in names if name not in self]
        if missing:
            raise self._error(f"{self.name} has no array {missing[0]!r}; it holds {', '.join(sorted(self)) or 'none'}")
        return [self[name] for name in names]

    def _guarded(self) -> contextlib.AbstractContextManager[None]:
        return guarded(self.name, "an .npz file", self._error)


class _Head:
    """The head of one .npy array, believed only as far as the bytes that follow it."""

    def __init__(self, dtype: np.dtype[Any], shape: tuple[int, ...], fortran: bool, available: int) -> None:
        self.dtype, self.shape, self.fortran = dtype, shape, fortran
        count = math.prod(shape)
        self.nbytes = count * dtype.itemsize
        if dtype.hasobject or dtype.kind not in _KINDS:
            raise ValueError(f"it holds Python objects ({dtype}), and nothing is ever unpickled")
        if self.nbytes > available or (count and not dtype.itemsize):
            raise ValueError(f"its head promises {dtype} {shape}, and {available:,} bytes follow")

    @classmethod
    def read(cls, stream: IO[bytes], size: int) -> _Head:
        """Parse the head; `size` counts the bytes of the stream from its start."""
        start = stream.read(8)
        if start[: len(NPY_MAGIC)] != NPY_MAGIC or len(start) < 8:
            raise ValueError(f"it begins with {start[:8]!r}")
        major = start[6]
        if major not in (1, 2, 3):
            raise ValueError(f"format version {major}")
        width = 2 if major == 1 else 4
        length = int.from_bytes(stream.read(width), "little")
        if length > _LONGEST_HEADER:
            raise ValueError(f"a head of {length:,} bytes")
        text = stream.read(length)
        if len(text) < length:
            raise EOFError("it ends within its head")
        found = ast.literal_eval(text.decode("utf-8" if major == 3 else "latin1").strip())
        if not isinstance(found, dict) or set(found) != {"descr", "fortran_order", "shape"}:
            raise ValueError("its head is not a NumPy head")
        shape, fortran = found["shape"], found["fortran_order"]
        if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape) or len(shape) > 32:
            raise ValueError(f"its shape is {shape!r:.80}")
        if type(fortran) is not bool:
            raise ValueError("its order is neither C nor Fortran")
        dtype = np.lib.format.descr_to_dtype(found["descr"])
        return cls(dtype, shape, fortran, size - 8 - width - length)

    def fill(self, stream: IO[bytes]) -> NDArray[Any]:
        """Read the values into a new array."""
        flat = np.empty(math.prod(self.shape), self.dtype)
        if self.nbytes:
            into: Any = flat.view(np.uint8)
            done = 0
            while done < self.nbytes:
                got = stream.readinto(into[done : done + _PIECE])  # type: ignore[attr-defined]
                if not got:
                    raise EOFError(f"it ends after {done:,} of {self.nbytes:,} bytes")
                done += got
        return flat.reshape(self.shape[::-1]).T if self.fortran else flat.reshape(self.shape)


def _checked(array: NDArray[Any]) -> NDArray[Any]:
    """Booleans are 0 or 1 and characters are characters: NumPy trusts both with memory."""
    if array.dtype.kind == "b" and array.size and array.view(np.uint8).max() > 1:
        raise ValueError("it holds a boolean that is neither 0 nor 1")
    if array.dtype.kind == "U" and array.size:
        letters = np.ascontiguousarray(array).reshape(-1).view(np.dtype("u4").newbyteorder(array.dtype.byteorder))
        if letters.max() > 0x10FFFF or ((letters >= 0xD800) & (letters <= 0xDFFF)).any():
            raise ValueError("it holds text that is not Unicode")
    return array


class _Gzip(io.RawIOBase):
    """The content of a gzip file, whose damage is reported where it is met."""

    def __init__(self, path: Path, error: type[NearhopError]) -> None:
        self._path, self._error = path, error
        self._inner = gzip.open(path, "rb")  # noqa: SIM115

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with guarded(f"{self._path.name} cannot be unpacked: it", "a whole gzip file", self._error):
            return self._inner.readinto(buffer)

    def close(self) -> None:
        self._inner.close()
        super().close()


def open_gzip(path: str | os.PathLike[str], *, error: type[NearhopError] = StoreCorrupt) -> io.BufferedReader:
    """The unpacked bytes of a gzip file as a stream; each read raises `error` where the file is damaged or cut short.

    >>> import gzip
    >>> from pathlib import Path
    >>> from nearhop.graphlib.guarded import open_gzip
    >>> _ = Path("a.gz").write_bytes(gzip.compress(b"0 1"))
    >>> with open_gzip("a.gz") as stream:
    ...     stream.read()
    b'0 1'
    """
    given = Path(path)
    check_regular(given, error)
    return io.BufferedReader(_Gzip(given, error))


def is_gzip(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as gzip files do."""
    with open(path, "rb") as stream:
        return stream.read(2) == b"\x1f\x8b"
