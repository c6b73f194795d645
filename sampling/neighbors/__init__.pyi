from .neighbor import NeighborSampler as NeighborSampler
from .picks import Temporal as Temporal
from .subgraph import SampledSubgraph as SampledSubgraph
from .typed import TypedNeighborSampler as TypedNeighborSampler
from .typed import TypedSubgraph as TypedSubgraph
from .visits import count_visits as count_visits
