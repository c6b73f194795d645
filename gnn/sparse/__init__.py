"""Adjacency and features as torch takes them: products with gradients by the library's own kernels."""
