from .adjacency import Adjacency as Adjacency
from .columns import Columns as Columns
from .filters import where as where
from .idmap import IdMap as IdMap
from .store import GraphStore as GraphStore
from .store import open as open
