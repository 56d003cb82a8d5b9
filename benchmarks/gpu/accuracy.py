"""Is the engine right on this GPU? Its mAP on the test camera beside float's, and the selftest."""

from __future__ import annotations

from typing import Any

from subject import bundle, float_model, target

from edge_sdk.datasets import open_dataset
from edge_sdk.evaluation.evaluate import EVALUATION, evaluate
from edge_sdk.runtime import Detector
from edge_sdk.runtime.selftest import selftest

IMAGES = 200


def run() -> dict[str, Any]:
    """Measure both on the same labelled frames, which neither has seen."""
    dataset = open_dataset("test://street", "val").first(IMAGES)
    rows = []
    for model, library in ((float_model(), "onnxruntime"), (bundle(), target())):
        with Detector(model, target=library, **EVALUATION) as detector:
            found = evaluate(detector, dataset)
        rows.append(
            {"network": model.name, "target": library, "map": found.map, "map50": found.map50}
        )
    result = selftest(bundle(), target=target())
    verdict = "passed" if result.passed else f"failed: {' '.join(result.problems)}"
    lost = 100 * (rows[0]["map"] - rows[1]["map"])
    return {
        "rows": rows,
        "selftest": result.to_dict(),
        "remarks": [
            f"{lost:.2f} points of mAP50-95 lost on {IMAGES} frames; selftest {verdict}",
            "At most 300 candidates leave the engine, where the CPU's suppression sees 1,000.",
        ],
    }
