"""What every compiled kernel stands on: how kernels are compiled, random streams, warps."""
