"""A detector in an application's own loop: its threads, its buffers, one engine for all.

    python samples/embed.py model.edge

The application here owns a ring of frame buffers, as a camera driver would, and several
worker threads. The detector reads the buffers in place, may be called by all threads at
once, and gives typed results.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from edge_sdk import Detections, Detector
from edge_sdk.runtime import open_source

HEIGHT, WIDTH, STRIDE = 720, 1280, 4096  # bytes a row: padded, as hardware likes it


class Ring:
    """The application's memory: a few frames of padded BGR rows."""

    def __init__(self, slots: int) -> None:
        self._buffers = [bytearray(HEIGHT * STRIDE) for _ in range(slots)]

    def view(self, slot: int) -> np.ndarray:
        """Return a slot as an image, without a copy: [HEIGHT, WIDTH, 3], rows STRIDE apart."""
        rows = np.frombuffer(self._buffers[slot], np.uint8).reshape(HEIGHT, STRIDE)
        return rows[:, : WIDTH * 3].reshape(HEIGHT, WIDTH, 3)


def main(arguments: list[str] | None = None) -> list[Detections]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a bundle, NAME.edge")
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--workers", type=int, default=3)
    options = parser.parse_args(arguments)

    ring = Ring(options.frames)
    camera = open_source(f"test://street?size={WIDTH}x{HEIGHT}&frames={options.frames}")
    for frame in camera:  # the driver's part: it fills the buffers
        ring.view(frame.index)[...] = frame.image

    with (
        Detector(options.model, threads=1) as detector,
        ThreadPoolExecutor(options.workers) as workers,
    ):
        slots = range(options.frames)
        results = list(workers.map(lambda slot: detector(ring.view(slot)), slots))

    for slot, detections in zip(slots, results, strict=True):
        best = next(iter(detections), None)
        if best is not None:
            x1, y1, x2, y2 = best.box
            print(
                f"slot {slot}: {best.name} {best.score:.2f} at {x1:.0f},{y1:.0f} {x2:.0f},{y2:.0f}"
            )
    return results


if __name__ == "__main__":
    main()
