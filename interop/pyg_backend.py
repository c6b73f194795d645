"""PyTorch Geometric over a store: its FeatureStore and GraphStore interfaces, and a sampler for its loaders.

`pyg_stores(store)` is what PyG calls a remote backend: features and adjacency stay where they are, and only the rows of
a batch are copied. `nearhop.interop.pyg_sampler.Sampler` draws batches without pyg-lib or torch-sparse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch_geometric.data import EdgeAttr, TensorAttr
from torch_geometric.data import FeatureStore as _FeatureStore
from torch_geometric.data import GraphStore as _GraphStore
from torch_geometric.data.graph_store import EdgeLayout

from ..graphlib.convert.pyg import as_tensor, node_tensors
from ..graphlib.given_store import check_store

if TYPE_CHECKING:
    from ..graphlib.store.store import GraphStore


def pyg_stores(store: GraphStore) -> tuple[FeatureStore, TopologyStore]:
    """The pair that PyG's loaders take as `data`.

    Examples
    --------
    >>> import numpy as np, torch, nearhop
    >>> from torch_geometric.loader import NodeLoader
    >>> from nearhop.interop.pyg_backend import pyg_stores
    >>> from nearhop.interop.pyg_sampler import Sampler
    >>> store = nearhop.GraphStore.from_edges(np.array([0, 1, 2]), np.array([1, 2, 3]))
    >>> store.nodes["x"] = np.eye(4, dtype=np.float32)
    >>> loader = NodeLoader(
    ...     pyg_stores(store), Sampler(store, [2, 2]), input_nodes=torch.arange(4), batch_size=2
    ... )
    >>> [batch.batch_size for batch in loader]
    [2, 2]
    """
    return FeatureStore(store), TopologyStore(store)


def _is_single(store: GraphStore) -> bool:
    return len(store.node_types) == 1 and len(store.edge_types) == 1


class FeatureStore(_FeatureStore):
    """The node columns of a store as PyG features.

    A store of one node and one edge type has group name None, others the node type's name. Text columns are not shown.
    Whole columns and slices share the store's memory; indexed rows are gathered.
    """

    def __init__(self, store: GraphStore) -> None:
        check_store(store)
        super().__init__()
        self.__dict__["_store"] = store

    def _tensor(self, attr: TensorAttr) -> Any:
        if attr.group_name is not None and attr.group_name not in self._store.node_types:
            return None
        columns = self._store.nodes(attr.group_name)
        if attr.attr_name not in columns or columns[attr.attr_name].dtype.kind not in "biufM":
            return None
        return as_tensor(torch, columns[attr.attr_name])

    def _get_tensor(self, attr: TensorAttr) -> Any:
        tensor = self._tensor(attr)
        if tensor is None:
            raise KeyError(f"the store has no node column for {attr}")
        if attr.index is None or not attr.is_set("index"):
            return tensor
        index = attr.index
        if isinstance(index, torch.Tensor) and index.dtype != torch.bool and index.ndim == 1:
            return tensor.index_select(0, index.to(torch.int64))
        return tensor[index]

    def _put_tensor(self, tensor: Any, attr: TensorAttr) -> bool:
        """Whole columns can be put; parts of one cannot, since arrays that were handed out never change."""
        if attr.is_set("index") and attr.index is not None:
            return False
        self._store.nodes(attr.group_name)[attr.attr_name] = (
            tensor.detach().cpu().numpy() if isinstance(tensor, torch.Tensor) else tensor
        )
        return True

    def _remove_tensor(self, attr: TensorAttr) -> bool:
        columns = self._store.nodes(attr.group_name)
        if attr.attr_name not in columns:
            return False
        del columns[attr.attr_name]
        return True

    def _get_tensor_size(self, attr: TensorAttr) -> tuple[int, ...] | None:
        tensor = self._tensor(attr)
        return None if tensor is None else tuple(tensor.shape)

    def get_all_tensor_attrs(self) -> list[TensorAttr]:
        """One attribute per node column that torch can hold."""
        groups = [None] if _is_single(self._store) else list(self._store.node_types)
        return [
            TensorAttr(group_name=group, attr_name=name)
            for group in groups
            for name in node_tensors(torch, self._store, group)
        ]


class TopologyStore(_GraphStore):
    """The edges of a store as a PyG GraphStore, in CSC layout; an undirected edge appears in both directions.

    `csc()` returns (row, colptr, perm) where `perm` are edge ids, so that the `e_id` of a batch are positions in the
    store's edge columns. PyG wants int64 rows: those kept as int32 are widened, once per edge type.
    """

    def __init__(self, store: GraphStore) -> None:
        check_store(store)
        super().__init__()
        self.__dict__["_store"] = store
        self.__dict__["_rows"] = {}

    def _csc(self, edge_type: Any) -> tuple[Any, Any, Any]:
        rows = self._store.csc(edge_type)
        kept = self._rows.get(edge_type)
        if kept is None or kept[0] is not rows:
            wide = (rows.indices, rows.indptr, rows.edge_ids)
            kept = rows, tuple(as_tensor(torch, array.astype(np.int64, copy=False)) for array in wide)
            self._rows[edge_type] = kept
        return kept[1]

    def _edge_to_layout(self, attr: EdgeAttr, layout: EdgeLayout, store: bool = False) -> tuple[Any, Any, Any]:
        row, pointer, edge_ids = self._csc(attr.edge_type)
        if layout == EdgeLayout.CSC:
            return row, pointer, edge_ids
        return super()._edge_to_layout(attr, layout, store)

    def _get_edge_index(self, edge_attr: EdgeAttr) -> tuple[Any, Any] | None:
        edge_type = edge_attr.edge_type
        if edge_type is None and not _is_single(self._store):
            return None
        if edge_type is not None and tuple(edge_type) not in self._named():
            return None
        if edge_attr.layout == EdgeLayout.CSR:
            rows = self._store.csr(edge_type)
            return as_tensor(torch, rows.indptr), as_tensor(torch, rows.indices.astype(np.int64, copy=False))
        row, pointer, _ = self._csc(edge_type)
        if edge_attr.layout == EdgeLayout.CSC:
            return row, pointer
        return row, torch.repeat_interleave(torch.arange(pointer.numel() - 1), pointer.diff())

    def _put_edge_index(self, edge_index: Any, edge_attr: EdgeAttr) -> bool:
        """New edge types can be added in COO layout; what is there is not replaced."""
        edge_type = edge_attr.edge_type
        if edge_type is None or edge_attr.layout != EdgeLayout.COO or tuple(edge_type) in self._named():
            return False
        src, dst = (end.detach().cpu().numpy() for end in edge_index)
        self._store.add_edge_type(edge_type, src, dst, directed=True, positions=True)
        return True

    def _remove_edge_index(self, edge_attr: EdgeAttr) -> bool:
        return False  # a view of a store takes nothing out of it; GraphStore.drop does

    def _named(self) -> tuple[Any, ...]:
        """Edge types that can be named: the graph's, and the links of indexes."""
        return (*self._store.edge_types, *self._store.link_types)

    def get_all_edge_attrs(self) -> list[EdgeAttr]:
        """One attribute per edge type, with sizes; the edge type of a store of one type is None."""
        single = _is_single(self._store)
        return [
            EdgeAttr(
                None if single else edge_type,
                EdgeLayout.CSC,
                is_sorted=True,
                size=(self._store.num_nodes_of(edge_type[0]), self._store.num_nodes_of(edge_type[2])),
            )
            for edge_type in self._store.edge_types
        ]
