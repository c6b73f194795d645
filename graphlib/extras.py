"""Optional dependencies: import one where it is used, or say how to install it."""

from __future__ import annotations

import importlib
from typing import Any

from .errors import MissingExtra

_EXTRA_OF = {
    "torch": "torch",
    "torch_geometric": "torch",
    "numba_cuda": "cuda",
    "faiss": "faiss",
    "hnswlib": "hnswlib",
    "dgl": "dgl",
    "h5py": "hdf5",
    "sentence_transformers": "text",
    "matplotlib": "plot",
    "networkx": "networkx",
    "sklearn": "demo",
    "threadpoolctl": "demo",
    "kahip": "kahip",
    "igraph": "communities",
    "leidenalg": "communities",
    "sknetwork": "communities",
    "pandas": "all",
    "polars": "all",
}


def require(module: str, purpose: str) -> Any:
    """Import an optional `module`, or raise `MissingExtra` naming what needs it and the install line.

    >>> require("json", "an example").dumps([1])
    '[1]'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        top = module.partition(".")[0]
        if error.name is not None and error.name.partition(".")[0] != top:
            raise  # the package is there but one of its own dependencies is not
        extra = _EXTRA_OF.get(top)
        line = f'pip install "nearhop[{extra}]"' if extra else f"pip install {top}"
        raise MissingExtra(f"{purpose} needs {top}, which is not installed; install it with: {line}") from error
