"""nearhop: graph learning and retrieval over one graph store.

*Who is near?* (neighbour indexes, communities) and *what does nearness predict?* (samplers, embeddings, models) are
answered from the same memory-mapped arrays: what one part writes, the next part reads without a copy.

Importing this module is cheap: every public name is loaded when it is first used.
"""

from .graphlib import process as _process  # noqa: F401, notes which process this is before anybody forks
from .graphlib.faces import attach

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = attach(__name__, __file__)
