"""Index files of other libraries, read and written without them: hnswlib's `.bin` and FAISS's indexes.

A file in, an index behind the usual protocol out, and back. `ann.load` finds out by itself what a file is.
"""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
