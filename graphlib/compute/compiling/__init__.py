"""What stands behind `jit`: ranges of turns, kernels within kernels, borrowed arrays, kept machine code, a notice."""
