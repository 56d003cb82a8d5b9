"""What of a frame is labelled, and how.

A box is the tight extent of those pixels of the object's own silhouette that nothing hides,
clipped to the picture. An object is labelled when

- at least 35 % of its silhouette inside the picture is visible,
- its visible box is at least 24/720 of the picture's height high and 8/720 of it wide,
- it covers at least 100/720^2 of the square of the picture's height.

A cyclist is rider and bicycle together; a traffic light is its head, without the pole, from
any side. Vans are cars. Parked scooters and bicycles, signs, posters and the like are nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

CLASS_NAMES = ("car", "truck", "pedestrian", "cyclist", "traffic light")

MIN_VISIBLE = 0.35
MIN_HEIGHT, MIN_WIDTH, MIN_AREA = 24 / 720, 8 / 720, 100 / 720**2


class LabelledFrame(NamedTuple):
    """A frame and its ground truth.

    Attributes
    ----------
    image : uint8 [h, w, 3], BGR.
    boxes : float32 [N, 4], x1, y1, x2, y2 in pixels; whole pixels, ends exclusive.
    class_ids : int32 [N], indices into `CLASS_NAMES`.
    """

    image: npt.NDArray[np.uint8]
    boxes: npt.NDArray[np.float32]
    class_ids: npt.NDArray[np.int32]


def labelled(
    boxes: npt.NDArray[np.int32],
    visible: npt.NDArray[np.uint32],
    whole: npt.NDArray[np.uint32],
    height: int,
) -> npt.NDArray[np.bool_]:
    """Return which objects are labelled, by the rule above.

    Parameters
    ----------
    boxes : [N, 4] visible extents in pixels.
    visible, whole : [N] visible pixels, and pixels of the silhouette inside the picture.
    height : of the picture.
    """
    return (
        (visible >= MIN_VISIBLE * whole)
        & (visible >= max(1.0, MIN_AREA * height * height))
        & (boxes[:, 3] - boxes[:, 1] >= MIN_HEIGHT * height)
        & (boxes[:, 2] - boxes[:, 0] >= MIN_WIDTH * height)
    )
