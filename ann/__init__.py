"""Near in space: indexes behind one protocol, and signatures of sets.

`add(vectors, ids)`, `search(queries, k, filter=)`, `remove(ids)`, `compact()`, `save(path)`; `load(path)` opens what
was saved. Vectors go in as float32 matrices or stay where they lie, as a column of a store; results speak user ids.
Nothing here makes embeddings. The names of `nearhop.communities`, and scikit-learn's transformer, are listed too.
"""

from ..graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
