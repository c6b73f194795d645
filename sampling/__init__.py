"""Near in hops: neighbour samples, walks, negatives, subgraphs, features and mini-batches over a graph store.

A sample is a pure function of the store, the seed, the epoch and the node it starts from, so nothing changes with the
number of threads or the order of the nodes asked for. Nothing here trains or embeds.
"""

from .gather import gather
from .layers import LayerSample, LayerSampler
from .loaders import LinkLoader, NodeLoader, TemporalLoader
from .metapath import metapath_walks, walk_node_types
from .ncache import NCache
from .ncache_read import CacheRead, JointRead
from .negatives import NegativeSampler, historical_negatives, in_batch_negatives
from .neighbor import NeighborSampler
from .picks import Temporal
from .ppr import PPRNeighbors, ppr_topk
from .saint import SaintNorms, SaintSampler
from .subgraph import SampledSubgraph
from .subgraphs import EgoNetworks, InducedSubgraphs, ShadowSampler, cluster_batches, ego_networks
from .temporal_walks import TemporalWalks, temporal_walks
from .typed import TypedNeighborSampler, TypedSubgraph
from .unified_tensor import UnifiedTensor
from .visits import count_visits
from .walks import random_walks

__all__ = [
    "CacheRead",
    "EgoNetworks",
    "InducedSubgraphs",
    "JointRead",
    "LayerSample",
    "LayerSampler",
    "LinkLoader",
    "NCache",
    "NegativeSampler",
    "NeighborSampler",
    "NodeLoader",
    "PPRNeighbors",
    "SaintNorms",
    "SaintSampler",
    "SampledSubgraph",
    "ShadowSampler",
    "Temporal",
    "TemporalLoader",
    "TemporalWalks",
    "TypedNeighborSampler",
    "TypedSubgraph",
    "UnifiedTensor",
    "cluster_batches",
    "count_visits",
    "ego_networks",
    "gather",
    "historical_negatives",
    "in_batch_negatives",
    "metapath_walks",
    "ppr_topk",
    "random_walks",
    "temporal_walks",
    "walk_node_types",
]
