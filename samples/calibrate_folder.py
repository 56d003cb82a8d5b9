"""Turn a float model into an INT8 bundle, calibrated on a folder of your own images.

    python samples/calibrate_folder.py model.onnx my_images model.edge

The images need no labels; a few hundred that look like what the camera will see are best.
"""

from __future__ import annotations

import argparse

import edge_sdk
from edge_sdk.bundle import Bundle


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="what 'edge-sdk convert' wrote, or a checkpoint")
    parser.add_argument("images", help="a folder of images")
    parser.add_argument("output", help="the bundle to write, NAME.edge")
    parser.add_argument("--target", default="openvino", help="openvino or onnxruntime")
    options = parser.parse_args(arguments)

    edge_sdk.deploy(options.model, options.images, options.target, options.output)

    with Bundle.open(options.output) as bundle:
        print(f"{options.output}: {', '.join(bundle.head_spec.class_names)}")
        print(f"engines: {', '.join(bundle.targets)}")


if __name__ == "__main__":
    main()
