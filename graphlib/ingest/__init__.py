"""Files, tables and arrays in, a store out, with bounded memory."""

from ..faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
