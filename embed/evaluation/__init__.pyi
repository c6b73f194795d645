from .evaluate import Evaluation as Evaluation
from .evaluate import evaluate as evaluate
from .links import LinkScores as LinkScores
from .links import LinkSplit as LinkSplit
from .links import evaluate_links as evaluate_links
from .links import split_links as split_links
