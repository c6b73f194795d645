"""FORMAT, the file that makes a folder a store and gives it an identity."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path

from ..errors import StoreCorrupt, StoreMissing
from . import files

FOLDER_VERSION = 1


def read_format(path: Path) -> str:
    """Check that `path` is a store of a known format; returns its uuid."""
    if not path.exists():
        raise StoreMissing(f"there is no store at {path}")
    marker = path / "FORMAT"
    if not marker.is_file() or not (path / "manifests").is_dir():
        raise StoreMissing(f"{path} is not a nearhop store: it has no FORMAT file; nearhop.ingest and save make one")
    try:
        with marker.open("rb") as stream:
            content = json.loads(stream.read(1 << 16))
        form, number, name = content["format"], content["format_version"], content["uuid"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreCorrupt(f"{marker} is damaged: {error!r}") from error
    if form != "nearhop-store" or type(number) is not int or number < 1 or not isinstance(name, str):
        raise StoreCorrupt(f"{marker} does not describe a nearhop store")
    if number > FOLDER_VERSION:
        raise StoreCorrupt(f"{path} has format version {number}; this nearhop reads up to {FOLDER_VERSION}: upgrade it")
    return name


def write_format(path: Path) -> str:
    """Make a folder a store; returns its fresh uuid."""
    name = uuid.uuid4().hex
    content = {"format": "nearhop-store", "format_version": FOLDER_VERSION, "uuid": name}
    descriptor = files.create(path / "FORMAT")
    try:
        files.write(descriptor, (json.dumps(content) + "\n").encode())
        files.sync(descriptor)
    finally:
        os.close(descriptor)
    return name


def check_identity(path: Path, name: str) -> None:
    """A folder that was moved away, or another one put in its place, is not written to."""
    try:
        found = read_format(path)
    except StoreMissing as error:
        raise StoreMissing(
            f"the store opened at {path} is no longer there ({error}); open it where it is now"
        ) from error
    if found != name:
        raise StoreMissing(
            f"the store opened at {path} is no longer there: another store lies in its place (uuid {found}, not "
            f"{name}); open that one, and repeat the change if it is meant for it"
        )
