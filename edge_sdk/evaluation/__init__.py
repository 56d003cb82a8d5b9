"""Accuracy, speed, and where two graphs differ."""

from edge_sdk.evaluation.accuracy import Accuracy, ClassAccuracy, mean_average_precision
from edge_sdk.evaluation.bootstrap import Difference, paired_difference, paired_differences
from edge_sdk.evaluation.evaluate import EVALUATION, evaluate, predict
from edge_sdk.evaluation.matching import ClassMatches, match

__all__ = [
    "EVALUATION", "Accuracy", "ClassAccuracy", "ClassMatches", "Difference",
    "evaluate", "match", "mean_average_precision", "paired_difference", "paired_differences",
    "predict",
]  # fmt: skip
