"""Readable references, in plain NumPy, of what the kernels compute."""
