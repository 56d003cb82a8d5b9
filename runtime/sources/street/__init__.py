"""The test camera: a rendered street with exact ground truth, `test://street?seed=0`."""

from edge_sdk.runtime.sources.street.labels import CLASS_NAMES, LabelledFrame
from edge_sdk.runtime.sources.street.sampling import labelled_frames, sample
from edge_sdk.runtime.sources.street.scene import Street
from edge_sdk.runtime.sources.street.uri import SPLITS, StreetOptions, parse_street_uri

__all__ = [
    "CLASS_NAMES",
    "SPLITS",
    "LabelledFrame",
    "Street",
    "StreetOptions",
    "labelled_frames",
    "parse_street_uri",
    "sample",
]
