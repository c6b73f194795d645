from .pyg_sampler import Sampler as Sampler
from .pyg_stores import FeatureStore as FeatureStore
from .pyg_stores import TopologyStore as TopologyStore
from .pyg_stores import pyg_stores as pyg_stores
from .scikit_learn import NeighborsTransformer as NeighborsTransformer
