from .data import NodeData as NodeData
from .full_batch import FullBatch as FullBatch
from .trainer import NodeModel as NodeModel
from .trainer import NodeScores as NodeScores
from .trainer import NodeTrainer as NodeTrainer
