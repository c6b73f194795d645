"""The former home of `evaluate`; its names stay importable from here."""

from .evaluate import Evaluation, evaluate, f1_scores, predict_top

__all__ = ["Evaluation", "evaluate", "f1_scores", "predict_top"]
