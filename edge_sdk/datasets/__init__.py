"""Labelled images: YOLO folders, COCO json, Pascal VOC trees and the test camera."""

from edge_sdk.datasets.opening import open_dataset
from edge_sdk.datasets.sample import Dataset, Labels, Sample

__all__ = ["Dataset", "Labels", "Sample", "open_dataset"]
