"""A walk embedding of another library, run by that library's own Python: prints the seconds, writes the vectors.

    PYTHON _walk_peers.py pecanpy|karateclub|nodevectors GRAPH.npz VECTORS.npy NUM_WALKS LENGTH WINDOW DIM THREADS

GRAPH.npz holds `indptr` and `indices` of a symmetric adjacency matrix. What a library calls its graph is made before
the clock starts; walks and training are timed, compilation is not where a first small run can do it.
"""

import sys
import time

import numpy as np

KNOWN = ("pecanpy", "karateclub", "nodevectors")


def pecanpy(indptr, indices, num_walks, length, window, dim, threads):
    """First-order walks (p = q = 1) and gensim's skip-gram."""
    from pecanpy.pecanpy import FirstOrderUnweighted

    def graph(indptr, indices):
        made = FirstOrderUnweighted(p=1, q=1, workers=threads, random_state=0)
        made.indptr, made.indices = indptr.astype(np.uint64), indices.astype(np.uint32)
        made.data = np.ones(len(indices), np.float32)
        made.set_node_ids([str(node) for node in range(len(indptr) - 1)])
        return made

    graph(np.array([0, 1, 2]), np.array([1, 0])).embed(dim, 1, 2, 1)  # compiles the walks
    mine = graph(indptr, indices)
    return lambda: mine.embed(dim=dim, num_walks=num_walks, walk_length=length, window_size=window)


def karateclub(indptr, indices, num_walks, length, window, dim, threads):
    """Walks in Python and gensim's hierarchical softmax."""
    import networkx
    import scipy.sparse
    from karateclub import DeepWalk

    n = len(indptr) - 1
    matrix = scipy.sparse.csr_matrix((np.ones(len(indices), np.int8), indices, indptr), (n, n))
    graph = networkx.from_scipy_sparse_array(matrix)

    def run():
        model = DeepWalk(num_walks, length, dim, threads, window, learning_rate=0.025)
        model.fit(graph)
        return model.get_embedding()

    return run


def nodevectors(indptr, indices, num_walks, length, window, dim, threads):
    """GGVec: its Node2Vec needs a gensim before 4, so this is the embedding of it that still runs on edges alone."""
    import csrgraph
    import scipy.sparse
    from nodevectors import GGVec

    n = len(indptr) - 1
    matrix = scipy.sparse.csr_matrix((np.ones(len(indices), np.float32), indices, indptr), (n, n))
    graph = csrgraph.csrgraph(matrix, threads=threads)
    GGVec(dim, max_epoch=1, threads=threads).fit_transform(csrgraph.csrgraph(matrix[:50, :50]))

    return lambda: np.asarray(GGVec(dim, threads=threads).fit_transform(graph))


def main():
    name, source, target, *numbers = sys.argv[1:]
    if name not in KNOWN:
        sys.exit(f"{name} is not one of {', '.join(KNOWN)}")
    arrays = np.load(source)
    run = globals()[name](arrays["indptr"], arrays["indices"], *map(int, numbers))
    start = time.perf_counter()
    vectors = run()
    seconds = time.perf_counter() - start
    np.save(target, np.asarray(vectors, np.float32))
    from importlib.metadata import version

    print(f"RESULT {seconds} {name} {version(name)}")


if __name__ == "__main__":
    main()
