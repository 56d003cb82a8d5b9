"""Detector networks as torch modules, built from records."""

from edge_sdk.converters.models.network import YoloNAS, yolo_nas
from edge_sdk.converters.models.records import RECORDS, Record, Stage

__all__ = ["RECORDS", "Record", "Stage", "YoloNAS", "yolo_nas"]
