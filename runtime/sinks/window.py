"""A window on the screen."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from edge_sdk.errors import EdgeError
from edge_sdk.opencv import opencv

if TYPE_CHECKING:
    from edge_sdk.runtime.result import Result

_KEYS_TO_LEAVE = (ord("q"), 27)


class Window:
    """One window a source; q or Escape ends the stream.

    Raises
    ------
    EdgeError
        If this OpenCV was built without windows, or there is no screen.
    """

    name = "window"

    def __init__(self) -> None:
        self._cv2 = opencv("A window")
        screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        if sys.platform.startswith("linux") and not screen:
            raise EdgeError("There is no screen for a window: write a video, '--sink out.mp4'.")
        try:
            self._cv2.waitKey(1)
        except self._cv2.error as error:
            raise EdgeError(
                "This OpenCV was built without windows (opencv-python-headless): install "
                "opencv-python in its place, or write a video, '--sink out.mp4'."
            ) from error

    def __call__(self, result: Result) -> bool:
        """Show a result; False if the user wants to leave."""
        self._cv2.imshow(result.frame.source.name, result.annotated)
        return self._cv2.waitKey(1) & 0xFF not in _KEYS_TO_LEAVE

    def close(self) -> None:
        """Close the windows."""
        self._cv2.destroyAllWindows()
