"""Models over graphs that change or are large: PyTorch modules that read stores, samples and caches.

Torch is imported when a model is first asked for, and needs the extra `nearhop[torch]`. Nothing here samples or
indexes.
"""

from ..graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="torch")
