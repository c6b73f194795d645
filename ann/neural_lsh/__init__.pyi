from .index import NeuralLSH as NeuralLSH
from .partition import balanced_partition as balanced_partition
