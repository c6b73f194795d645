"""The common graph store: format, ingest, adjacency, sparse kernels, conversions and the command line.

Edges and vectors go in; `GraphStore` hands out adjacency and columns as plain arrays that every other room reads
without a copy. Nothing here samples, embeds or searches.
"""

if __name__ == "graphlib":
    # Python was started in the repository root, where this folder shadows the standard library's module of the same
    # name: hand that one back.
    import importlib.util
    import sys
    import sysconfig
    from pathlib import Path

    _spec = importlib.util.spec_from_file_location(__name__, Path(sysconfig.get_path("stdlib")) / "graphlib.py")
    if _spec is None or _spec.loader is None:
        raise ImportError("the standard library's graphlib was not found")
    sys.modules[__name__] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules[__name__])
