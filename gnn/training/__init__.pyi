from .board import TensorBoard as TensorBoard
from .epochs import EpochTrainer as EpochTrainer
from .options import Progress as Progress
from .options import Training as Training
from .runs import Runs as Runs
from .runs import run_seeds as run_seeds
