"""Accuracy, speed, and where two graphs differ."""
