from .fastrp import FastRP as FastRP
from .tuning import Trial as Trial
from .tuning import TuneResult as TuneResult
from .tuning import tune as tune
