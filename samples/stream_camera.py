"""Stream a camera through a detector: print what is seen, and write an annotated video.

    python samples/stream_camera.py model.edge --source 0 --video seen.mp4

Without --source the test camera is used, which every machine has.
"""

from __future__ import annotations

import argparse
from collections import Counter

from edge_sdk import stream
from edge_sdk.runtime import Result


def report(result: Result) -> None:
    """A sink of one's own: anything that can be called with a result."""
    seen = Counter(detection.name for detection in result.detections)
    words = ", ".join(f"{count} {name}" for name, count in seen.most_common())
    print(f"frame {result.frame.index}, {result.age * 1e3:.0f} ms old: {words or 'nothing'}")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a bundle, NAME.edge")
    parser.add_argument("--source", default="test://street", help="0, rtsp://..., clip.mp4, ...")
    parser.add_argument("--video", help="where to write the annotated video")
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args(arguments)

    sinks = [report, *([options.video] if options.video else [])]
    # "latest": always the newest frame; what the detector has no time for is dropped, counted.
    summary = stream(
        options.model, options.source, sinks=sinks, policy="latest", duration=options.seconds
    )

    for source, counts in summary.counts.items():
        dropped = ", ".join(f"{n} {reason}" for reason, n in counts.dropped.items() if n)
        print(f"{source}: {counts.captured} captured, {counts.delivered} seen, {dropped}")
    age = summary.stages["age"]
    print(f"{summary.fps:.1f} a second; age {age.p50:.1f} ms in the middle, {age.p99:.1f} at p99")


if __name__ == "__main__":
    main()
