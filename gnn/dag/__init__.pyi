from .plan import LevelPlan as LevelPlan
from .propagation import LevelPropagation as LevelPropagation
from .propagation import LevelRule as LevelRule
from .propagation import Propagated as Propagated
from .reduce import segment_reduce as segment_reduce
