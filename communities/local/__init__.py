"""Clusters around seeds, at a cost that does not grow with the graph: diffusion, PageRank, sweep cuts."""
