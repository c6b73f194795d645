"""Downloading one file: resumed after a cut, checked, and given its name only when it is whole."""

from __future__ import annotations

import http.client
import os
import re
import time
import urllib.error
import urllib.request
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from ..graphlib.disk.locking import WriterLock
from ..graphlib.errors import DownloadError, NearhopError, StoreLocked
from ..graphlib.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_BLOCK = 1 << 16
_PASSING = (408, 425, 429, 500, 502, 503, 504)


def fetch(
    url: str,
    target: Path,
    *,
    size_cap: int,
    check: Callable[[Path], None],
    timeout_s: float = 30.0,
    attempts: int = 4,
    pause_s: float = 0.5,
) -> None:
    """Download `url` to `target`.

    The bytes go to `target` + ".part" first; a later call continues from there. The part becomes the target by one
    rename, after `check(part)` returned. Nothing is asked; a progress bar is drawn on a terminal only.

    Parameters
    ----------
    size_cap : int
        The most bytes to accept, so that a wrong address cannot fill the disk.
    check : callable
        Called with the path of the complete part; raises `DownloadError` if the content is wrong.
    timeout_s : float, default 30
        How long to wait for the server, in seconds, each time.
    attempts : int, default 4
        How often in a row the connection may fail without one new byte; the pause doubles from `pause_s` on.

    Raises
    ------
    DownloadError
        No connection, a refusal, too many bytes, or a failed check. Bytes that failed the check are deleted.
    """
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = target.with_name(target.name + ".lock")
        with _alone(lock, timeout_s), progress_bar(target.name, unit="bytes") as report:
            if target.exists():  # another process finished it while this one waited
                return
            _complete(url, part, size_cap, timeout_s, attempts, pause_s, report)
            try:
                check(part)
            except NearhopError as error:
                part.unlink(missing_ok=True)
                raise DownloadError(
                    f"{url} did not deliver the expected file, and nothing was kept: {error}."
                ) from error
            os.replace(part, target)
    except OSError as error:
        if isinstance(error, DownloadError):
            raise
        raise DownloadError(f"{url} could not be stored at {target}: {error}.") from error


def _complete(
    url: str,
    part: Path,
    size_cap: int,
    timeout_s: float,
    attempts: int,
    pause_s: float,
    report: Callable[[int, int | None], None],
) -> None:
    failures = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            if _receive(url, part, size_cap, timeout_s, report):
                return
            reason = "the connection was cut"
        except urllib.error.HTTPError as error:
            error.close()
            if error.code not in _PASSING:
                raise DownloadError(f"{url} answered {error.code} {error.reason}.") from error
            reason = f"it answered {error.code} {error.reason}"
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        grown = part.exists() and part.stat().st_size > before
        failures = 0 if grown else failures + 1
        if failures >= attempts:
            raise DownloadError(f"{url} could not be downloaded: {reason} (tried {attempts} times).")
        time.sleep(pause_s * 2 ** max(0, failures - 1))


def _receive(url: str, part: Path, size_cap: int, timeout_s: float, report: Callable[[int, int | None], None]) -> bool:
    """One request for the rest of the file; whether the file is complete now."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "nearhop", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout_s)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        error.close()
        whole = _total(error.headers.get("Content-Range"))
        if whole == have:
            return True
        part.unlink()  # what lies there is not a beginning of this file
        return False
    with closing(answer):
        total = _length(answer.headers.get("Content-Length"))
        if answer.status == 206:
            start = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range") or "")
            if start is None or int(start[1]) != have:
                part.unlink()
                return False
            total = None if total is None else total + have
        else:
            have = 0  # the server sent the file from its beginning
        if total is not None and total > size_cap:
            raise DownloadError(f"{url} offers {total:,} bytes, more than the {size_cap:,} this file can have.")
        with open(part, "ab" if have else "wb") as file:
            while block := answer.read(_BLOCK):
                have += len(block)
                if have > size_cap:
                    file.close()
                    part.unlink()
                    raise DownloadError(f"{url} sent more than the {size_cap:,} bytes this file can have.")
                file.write(block)
                report(have, total)
            file.flush()
            os.fsync(file.fileno())
    return total is None or have == total


def _length(value: str | None) -> int | None:
    return int(value) if value is not None and value.isdecimal() else None


def _total(content_range: str | None) -> int | None:
    return _length((content_range or "").rpartition("/")[2])


@contextmanager
def _alone(path: Path, timeout_s: float) -> Iterator[None]:
    """One download of a file at a time, across processes; a lock file stays behind empty."""
    lock = WriterLock(path)
    until = time.monotonic() + 10 * timeout_s
    while True:
        try:
            lock.acquire()
            break
        except StoreLocked as error:
            if time.monotonic() > until:
                raise DownloadError(f"another process is downloading {path.stem}; load again later.") from error
            time.sleep(0.1)
    try:
        yield
    finally:
        lock.release()
