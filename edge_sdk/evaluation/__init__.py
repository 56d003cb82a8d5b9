"""Accuracy, speed, and where two graphs differ."""

from edge_sdk.evaluation.accuracy import Accuracy, ClassAccuracy, mean_average_precision

__all__ = ["Accuracy", "ClassAccuracy", "mean_average_precision"]
