"""How boxes are sifted where nobody says otherwise; a bundle's manifest carries its own values."""

from __future__ import annotations

from typing import Any

RUNNING: dict[str, Any] = {
    "score": 0.25,
    "iou": 0.7,
    "class_agnostic": False,
    "multi_label": True,
    "max_candidates": 1000,
    "max_detections": 300,
}
"""The settings of `Detector` for looking at; accuracy is measured with others."""
