"""Sources that are graphs already: other libraries' objects, sparse matrices, and graph files that NetworkX reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import IngestError, InvalidInput
from ..names import shown
from .foreign import NETWORKX, networkx_format, read_networkx
from .paths import check_regular, kind_of, suffix_of
from .report import of_graph

if TYPE_CHECKING:
    from ..store.ingest_report import IngestReport
    from ..store.store import GraphStore


def from_graph(
    source: Any, *, directed: bool | None, weight: str | None, time: str | None
) -> tuple[GraphStore, IngestReport] | None:
    """The store of a graph and its report, or None where the source is a table."""
    from .. import convert
    from ..convert.networkx import read_nx
    from ..convert.pyg import read_pyg

    name = f"a {type(source).__name__}"
    out: dict[str, str] = {}
    if isinstance(source, str | Path):
        source, name, out = _from_path(Path(source))
        if source is None:
            return None
    top = type(source).__module__.partition(".")[0]
    if top == "torch" and _is_sparse(source):
        source, top = _torch_sparse(source), "scipy"
    if top == "scipy" and hasattr(source, "tocoo"):
        if time is not None or weight is not None:
            raise InvalidInput("weight and time name columns; the weights of a sparse matrix are its values")
        store = convert.from_scipy(source, directed=directed)
        return store, of_graph(store, name, directed, weight, time, out)
    if top == "torch_geometric":
        store, out = read_pyg(source, directed=directed, weight=weight, time=time)
    elif top == "networkx":
        store, out = read_nx(source, directed=directed, weight=weight, time=time)
    elif top == "dgl":
        store = convert.from_dgl(source, directed=directed, weight=weight, time=time)
    else:
        return None
    return store, of_graph(store, name, directed, weight, time, out)


def _from_path(path: Path) -> tuple[Any, str, dict[str, str]]:
    """The graph in a file, its name and what else the file holds; None for the graph where the file holds a table."""
    if not path.exists() or path.is_dir():
        return None, "", {}
    check_regular(path)
    name = shown(path.name)
    if suffix_of(path) == "npz":
        from ..convert.scipy import read_sparse_npz

        found, others = read_sparse_npz(path) or (None, [])
        return found, name, dict.fromkeys(others, "it is no part of the sparse matrix")
    if kind_of(path) != "text":
        return None, "", {}
    form = networkx_format(path)
    if form is None:
        return None, "", {}
    return read_networkx(path, form), f"{name} ({NETWORKX[form]}, read by NetworkX)", {}


def _is_sparse(tensor: Any) -> bool:
    import torch

    return isinstance(tensor, torch.Tensor) and tensor.layout is not torch.strided


def _torch_sparse(tensor: Any) -> Any:
    """A SciPy matrix of a sparse tensor (n, n)."""
    import scipy.sparse as sp

    if tensor.ndim != 2:
        raise IngestError(f"a sparse tensor of shape {tuple(tensor.shape)} is no matrix of edges")
    entries = tensor.detach().cpu().to_sparse_coo()
    values = entries._values()  # values() wants repeated entries added up
    if values.ndim != 1:
        raise IngestError("the entries of a sparse tensor must be numbers, not vectors")
    row, col = entries._indices().numpy()
    data = values.float().numpy() if values.dtype.itemsize == 2 else values.numpy()
    return sp.coo_array((np.asarray(data), (row, col)), shape=tuple(tensor.shape))
