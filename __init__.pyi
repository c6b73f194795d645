from . import ann as ann
from . import blocking as blocking
from . import communities as communities
from . import datasets as datasets
from . import embed as embed
from . import gnn as gnn
from . import interop as interop
from . import sampling as sampling
from .graphlib.errors import NearhopError as NearhopError
from .graphlib.ingest.api import ingest as ingest
from .graphlib.store.store import GraphStore as GraphStore
from .graphlib.store.store import open as open

__version__: str
