from .spmm import spmm as spmm
