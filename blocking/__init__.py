"""Which records may be the same thing: tables in, candidate pairs out, and how good they are.

Blockers look for every record of one table among those of another, or within one: by character n-grams, MinHash,
embeddings, or a network trained on matches. Nothing here decides whether a pair matches.
"""

from ..graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
