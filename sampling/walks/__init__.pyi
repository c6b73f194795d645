from .metapath import metapath_walks as metapath_walks
from .metapath import walk_node_types as walk_node_types
from .temporal_walks import TemporalWalks as TemporalWalks
from .temporal_walks import temporal_walks as temporal_walks
from .walks import random_walks as random_walks
