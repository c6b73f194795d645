from .levels import Levels as Levels
from .levels import topological_levels as topological_levels
from .spmm import spmm as spmm
