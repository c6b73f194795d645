from .gather import gather as gather
from .pinned_adjacency import PinnedAdjacency as PinnedAdjacency
from .unified_tensor import UnifiedTensor as UnifiedTensor
