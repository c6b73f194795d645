from .cache import NCache as NCache
from .read import CacheRead as CacheRead
from .read import JointRead as JointRead
