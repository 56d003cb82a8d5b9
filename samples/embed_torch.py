"""A detector inside an application that uses torch on a GPU: its tensors, its streams, no copy.

    python samples/embed_torch.py NAME.edge

NAME.edge was built for tensorrt or tensorrt-rtx on this GPU. Experimental: not run on a GPU yet.
"""

from __future__ import annotations

import argparse

import torch

from edge_sdk.runtime import Detector, open_source


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle")
    bundle = parser.parse_args().bundle
    if not torch.cuda.is_available():
        raise SystemExit("This sample needs a GPU, and torch sees none.")

    stream = torch.cuda.Stream()
    with Detector(bundle, target="tensorrt") as detector:  # torch's context is shared
        for frame in open_source("test://street?frames=5"):
            with torch.cuda.stream(stream):
                picture = torch.from_numpy(frame.image).cuda(non_blocking=True)  # BGR, [H, W, 3]
                picture = (picture * 0.9).to(torch.uint8)  # the application's own work
                found = detector(picture)  # waits for it on the GPU, and takes it where it lies
            print(f"frame {frame.index}:", ", ".join(one.name for one in found))


if __name__ == "__main__":
    main()
