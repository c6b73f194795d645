from .links import LinkLoader as LinkLoader
from .nodes import NodeLoader as NodeLoader
from .temporal import TemporalLoader as TemporalLoader
