"""NNCF's `quantize_with_accuracy_control`: peer_nncf_accuracy.py MODEL INPUTS OUTPUT PRESET LABELS

MODEL is a float ONNX file, INPUTS a .npy file float32 [images, 3, H, W], OUTPUT the folder to
write model.xml to, LABELS a .npz file with labelled training images: `inputs` as above, `boxes`
float32 [N, 4] in pixels of the input, `class_ids` int32 [N] and `counts` int32 [images].

Run it with the Python of an environment that has nncf and openvino, with Edge SDK on PYTHONPATH:
the accuracy that is controlled is mAP50-95, for which the outputs are decoded and matched as in
every evaluation here. PRESET is the greatest drop of mAP50-95, 0..1.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import openvino

from edge_sdk.datasets.sample import Labels, Sample
from edge_sdk.evaluation import EVALUATION, match
from edge_sdk.evaluation.bootstrap import mean_ap
from edge_sdk.head_spec import METADATA_KEY, HeadSpec
from edge_sdk.runtime.letterbox import Placement
from edge_sdk.runtime.postprocess import Postprocessor

RANKED = 64
"""Images that groups are ranked on; its default, 300, is more than there are."""


class Input(Sample):
    """One letterboxed image with labels."""

    def __init__(self, image: np.ndarray, labels: Labels) -> None:
        self.image = image
        self._labels = labels

    @property
    def name(self) -> str:
        """Nobody asks."""
        return ""

    def read(self) -> np.ndarray:
        """Refuse: `image` is what there is."""
        raise NotImplementedError

    @property
    def labels(self) -> Labels:
        """In pixels of the input."""
        return self._labels


class Validation:
    """mAP50-95 of a compiled model on some of the samples."""

    def __init__(self, spec: HeadSpec) -> None:
        self.spec = spec
        self.postprocessor = Postprocessor(spec, **EVALUATION)

    def __call__(self, model: Any, samples: Iterable[Input]) -> tuple[float, None]:
        """Return it, 0..1, and no single values."""
        samples = list(samples)
        found = [self._detect(model, sample.image) for sample in samples]
        matches = match(found, samples, self.spec.class_names)
        return float(mean_ap(matches, np.ones((1, len(samples)), np.int32))[0]), None

    def _detect(self, model: Any, image: np.ndarray) -> Any:
        results = model(image[None])
        outputs = [results[name][0] for name in self.spec.output_names]
        return self.postprocessor(outputs, Placement(1.0, 0, 0), self.spec.input_size)


def main() -> None:
    path, inputs, output = map(Path, sys.argv[1:4])
    images = np.load(inputs, mmap_mode="r")
    model = openvino.Core().read_model(path)
    spec = HeadSpec.from_json(model.get_rt_info(["framework", METADATA_KEY]).astype(str))
    quantized = nncf.quantize_with_accuracy_control(
        model,
        nncf.Dataset(images, lambda image: np.ascontiguousarray(image[None])),
        nncf.Dataset(list(samples(Path(sys.argv[5]))), lambda sample: sample),
        Validation(spec),
        max_drop=float(sys.argv[4]),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(images),
        target_device=nncf.TargetDevice.CPU,
        advanced_accuracy_restorer_parameters=nncf.AdvancedAccuracyRestorerParameters(
            ranking_subset_size=RANKED, num_ranking_workers=1
        ),
    )
    openvino.save_model(quantized, output / "model.xml", compress_to_fp16=False)


def samples(path: Path) -> Iterator[Input]:
    with np.load(path) as arrays:
        ends = np.cumsum(arrays["counts"])[:-1]
        boxes, class_ids = (np.split(arrays[name], ends) for name in ("boxes", "class_ids"))
        for image, box, class_id in zip(arrays["inputs"], boxes, class_ids, strict=True):
            yield Input(image, Labels.of(box, class_id))


if __name__ == "__main__":
    main()
