from .dgl import from_dgl as from_dgl
from .networkx import from_networkx as from_networkx
from .networkx import to_networkx as to_networkx
from .pyg import from_pyg as from_pyg
from .pyg import to_pyg as to_pyg
from .scipy import from_scipy as from_scipy
from .scipy import to_scipy as to_scipy
