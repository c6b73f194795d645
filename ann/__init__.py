"""Near in space, and near by shared neighbours: indexes behind one protocol, signatures, communities, local clusters.

`add(vectors, ids)`, `search(queries, k, filter=)`, `remove(ids)`, `compact()`, `save(path)`; `load(path)` opens what
was saved. Vectors go in as float32 matrices or stay where they lie, as a column of a store; results speak user ids.
Communities and clusters take a store and seeds. Nothing here makes embeddings.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bbit import BBitSignatures
    from .communities import Community, CommunitySearch
    from .communities_detect import Partition, detect
    from .diffusion import FlowSolver, MassSweep, flow_diffusion, flow_diffusion_path
    from .exact import Exact
    from .faiss_bridge import Faiss
    from .hnsw import HNSW
    from .ivf import IVFFlat
    from .local_clustering import LocalCluster
    from .lsh import LSH, LSHStatistics
    from .lsh_pairs import SimilarityGraph
    from .minhash import MinHash
    from .neighbors import NeighborsTransformer
    from .noisy_labels import AttributeClassifier, diffuse_twice, flip_labels
    from .opening import load
    from .pagerank import approximate_pagerank
    from .picture import Picture
    from .quality import (
        CommunityQuality,
        adjusted_rand_index,
        community_quality,
        modularity,
        normalized_mutual_information,
        recall_area,
    )
    from .result import RangeResult, SearchResult, recall
    from .sets import RaggedSets
    from .shingling import shingles
    from .sweep import SweepCut, sweep_cut

_HOMES = {
    "bbit": ("BBitSignatures",),
    "communities": ("Community", "CommunitySearch"),
    "communities_detect": ("Partition", "detect"),
    "diffusion": ("FlowSolver", "MassSweep", "flow_diffusion", "flow_diffusion_path"),
    "exact": ("Exact",),
    "faiss_bridge": ("Faiss",),
    "hnsw": ("HNSW",),
    "ivf": ("IVFFlat",),
    "local_clustering": ("LocalCluster",),
    "lsh": ("LSH", "LSHStatistics"),
    "lsh_pairs": ("SimilarityGraph",),
    "minhash": ("MinHash",),
    "neighbors": ("NeighborsTransformer",),
    "noisy_labels": ("AttributeClassifier", "diffuse_twice", "flip_labels"),
    "opening": ("load",),
    "pagerank": ("approximate_pagerank",),
    "picture": ("Picture",),
    "quality": (
        "CommunityQuality",
        "adjusted_rand_index",
        "community_quality",
        "modularity",
        "normalized_mutual_information",
        "recall_area",
    ),
    "result": ("RangeResult", "SearchResult", "recall"),
    "sets": ("RaggedSets",),
    "shingling": ("shingles",),
    "sweep": ("SweepCut", "sweep_cut"),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "HNSW",
    "LSH",
    "AttributeClassifier",
    "BBitSignatures",
    "Community",
    "CommunityQuality",
    "CommunitySearch",
    "Exact",
    "Faiss",
    "FlowSolver",
    "IVFFlat",
    "LSHStatistics",
    "LocalCluster",
    "MassSweep",
    "MinHash",
    "NeighborsTransformer",
    "Partition",
    "Picture",
    "RaggedSets",
    "RangeResult",
    "SearchResult",
    "SimilarityGraph",
    "SweepCut",
    "adjusted_rand_index",
    "approximate_pagerank",
    "community_quality",
    "detect",
    "diffuse_twice",
    "flip_labels",
    "flow_diffusion",
    "flow_diffusion_path",
    "load",
    "modularity",
    "normalized_mutual_information",
    "recall",
    "recall_area",
    "shingles",
    "sweep_cut",
]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        value = getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)
        globals()[name] = value  # from now on without this detour, also where a module has the function's name
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
