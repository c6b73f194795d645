from .loaders import LinkLoader as LinkLoader
from .loaders import NodeLoader as NodeLoader
from .loaders import TemporalLoader as TemporalLoader
