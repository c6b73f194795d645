from .pyg_backend import FeatureStore as FeatureStore
from .pyg_backend import TopologyStore as TopologyStore
from .pyg_backend import pyg_stores as pyg_stores
from .pyg_sampler import Sampler as Sampler
from .scikit_learn import NeighborsTransformer as NeighborsTransformer
