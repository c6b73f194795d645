"""The kinds of blocker, and opening what `save` wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..graphlib.errors import InvalidInput, StoreCorrupt, StoreMissing
from .blocker import Blocker
from .minhash import MinHashBlocker
from .ngrams.blocker import NGramBlocker
from .nlsh.blocker import NLSHBlock
from .records import Records
from .union import Union
from .vectors import EmbeddingBlocker

KINDS: dict[str, type[Blocker]] = {
    kind.KIND: kind for kind in (NGramBlocker, MinHashBlocker, EmbeddingBlocker, NLSHBlock, Union)
}


def load(path: str | Path) -> Blocker:
    """Open a blocker that `save` wrote; its records are indexed again, which takes as long as the first time.

    Raises
    ------
    StoreMissing
        There is no such folder.
    StoreCorrupt
        A part is missing, damaged, or does not fit the others.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise StoreMissing(f"there is no blocker at {folder}")
    try:
        about = json.loads((folder / "blocker.json").read_text(encoding="utf-8"))
        return _opened(folder, about)
    except StoreCorrupt:
        raise
    except Exception as error:
        raise StoreCorrupt(f"{folder.name} holds no blocker that can be read: {error}") from error


def _opened(folder: Path, about: Any) -> Blocker:
    import numpy as np

    kind = KINDS.get(about["kind"])
    if kind is None or about.get("version") != 1:
        raise InvalidInput(f"blocker kind {about['kind']!r}, version {about.get('version')!r} is not known")
    given = {"codes": False, **about["parameters"]}  # files of before there were codes do not name them
    parameters = {name: given[name] for name in kind.PARAMETERS}
    if kind is Union:
        parts = sorted(folder.glob("part*"), key=lambda part: int(part.name[4:]))
        made: Blocker = Union([load(part) for part in parts], **parameters)
    else:
        made = kind(**parameters)
    schema, ranks = about["schema"], about["ranks"]
    if schema is not None and made.columns is not None:
        schema = made.columns  # files of before columns= chose among those of Records hold more
    made._schema = None if schema is None else [str(column) for column in schema]
    made._ranks = None if ranks is None else np.array(ranks, np.int64)
    made._load_parts(folder)
    if about["records"]:
        import pyarrow.parquet

        records = Records.from_arrow(pyarrow.parquet.read_table(folder / "records.parquet"))
        if kind is Union:
            made._right, made._schema = records, list(records.columns)  # its members have indexed them
        else:
            made.index(records)
        made._one_table = about.get("one_table") is True
    return made


__all__ = ["KINDS", "load"]
