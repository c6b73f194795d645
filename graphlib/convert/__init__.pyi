from .convert import from_dgl as from_dgl
from .convert import from_networkx as from_networkx
from .convert import from_pyg as from_pyg
from .convert import from_scipy as from_scipy
from .convert import to_networkx as to_networkx
from .convert import to_pyg as to_pyg
from .convert import to_scipy as to_scipy
