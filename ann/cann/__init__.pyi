from .index import CANN as CANN
from .result import ColorMatches as ColorMatches
from .result import ColorResult as ColorResult
from .scoring import superellipse as superellipse
from .tuning import ColorTuning as ColorTuning
