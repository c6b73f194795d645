from .concentration import approximate_concentration as approximate_concentration
from .concentration import topological_concentration as topological_concentration
from .reweighting import Reweighting as Reweighting
from .shift import TopologyReport as TopologyReport
from .shift import rank_correlation as rank_correlation
from .shift import topology_report as topology_report
