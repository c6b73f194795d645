"""Sparse times sparse: products over semirings, masked, with the best of every row, in memory or on disk."""
