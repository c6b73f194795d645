from .data import EgoBatch as EgoBatch
from .data import EgoGraphs as EgoGraphs
from .maps import EquivariantMap as EquivariantMap
from .norm import GraphNorm as GraphNorm
from .plan import BagPlan as BagPlan
from .sizes import SizeClasses as SizeClasses
from .spen import SPEN as SPEN
