"""A detector inside an application that uses pycuda: its context, its arrays, no copy.

    python samples/embed_pycuda.py NAME.edge

NAME.edge was built for tensorrt or tensorrt-rtx on this GPU. Experimental: not run on a GPU yet.
"""

from __future__ import annotations

import argparse

try:
    import pycuda.driver as cuda
    from pycuda import gpuarray
except ImportError as error:
    raise SystemExit(f"This sample needs pycuda and an NVIDIA driver ({error}).") from None

from edge_sdk.runtime import Detector, open_source


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle")
    bundle = parser.parse_args().bundle

    cuda.init()
    context = cuda.Device(0).make_context()  # the application's own, current in this thread
    try:
        # Opened while the context is current, the detector works in it, from any thread.
        with Detector(bundle, target="tensorrt") as detector:
            for frame in open_source("test://street?frames=5"):
                picture = gpuarray.to_gpu(frame.image)  # the application's own work goes here
                found = detector(picture)  # taken where it lies
                print(f"frame {frame.index}:", ", ".join(one.name for one in found))
        del detector
    finally:
        context.pop()


if __name__ == "__main__":
    main()
