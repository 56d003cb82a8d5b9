"""One picture of the whole run."""

from __future__ import annotations

from pathlib import Path

import cv2
import matplotlib
import numpy as np
import numpy.typing as npt
from figures import Figures
from matplotlib import pyplot
from matplotlib.axes import Axes

from edge_sdk import Detector
from edge_sdk.bundle_report import draw_range
from edge_sdk.calibration import Calibration
from edge_sdk.deployment import work_folder
from edge_sdk.files import replacing
from edge_sdk.quantization_table import QuantizationTable
from edge_sdk.runtime import open_source

matplotlib.use("Agg")
INK, FLOAT, INT8 = "#1d2530", "#7a8797", "#1668c5"
SHOWN_FRAME = 40


def draw_run(
    path: Path, float_model: Path, bundle: Path, target: str, camera: str, figures: Figures
) -> None:
    """Draw what float and INT8 see, how the widest tensor was clipped, accuracy and speed."""
    figure = pyplot.figure(figsize=(14, 8.6), layout="constrained")
    grid = figure.add_gridspec(2, 6, height_ratios=(1.25, 1))
    figure.suptitle(
        f"YOLO-NAS-N, one convolution a block, INT8 on {figures.conditions}", color=INK, fontsize=12
    )
    frame = _frame(camera)
    for place, (name, model) in zip(
        (grid[0, :3], grid[0, 3:]), (("float", float_model), ("INT8", bundle)), strict=True
    ):
        with Detector(model, target=target) as detector:
            seen = detector(frame)
        axes = figure.add_subplot(place)
        axes.imshow(cv2.cvtColor(seen.draw(frame.copy()), cv2.COLOR_BGR2RGB))
        axes.set_title(f"{name}: {len(seen)} objects above 0.25", color=INK)
        axes.axis("off")
    _clipping(figure.add_subplot(grid[1, :2]), bundle)
    loss = figures.loss
    _bars(
        figure.add_subplot(grid[1, 2:4]),
        {name: row.accuracy.map or 0.0 for name, row in figures.rows.items()},
        f"mAP50-95, {loss.images} unseen frames: {100 * loss.value:+.2f} points lost",
        "{:.3f}",
    )
    _bars(
        figure.add_subplot(grid[1, 4:]),
        {name: row.latency.inference.p50 for name, row in figures.rows.items()},
        f"engine, median ms: INT8 {figures.speedup:.2f}x as fast",
        "{:.2f}",
    )
    with replacing(path) as beside:
        figure.savefig(beside, dpi=100)
    pyplot.close(figure)


def _frame(camera: str) -> npt.NDArray[np.uint8]:
    with open_source(camera) as source:
        for frame in source:
            if frame.index == SHOWN_FRAME:
                return frame.image
    raise AssertionError("the test camera never ends")


def _bars(axes: Axes, values: dict[str, float], title: str, form: str) -> None:
    bars = axes.bar(list(values), list(values.values()), color=(FLOAT, INT8), width=0.55)
    axes.bar_label(bars, [form.format(value) for value in values.values()], padding=3)
    axes.set_title(title, color=INK, fontsize=11)
    axes.margins(y=0.15)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_yticks([])


def _clipping(axes: Axes, bundle: Path) -> None:
    """Show the histogram of the tensor whose range was cut the most, and the cut."""
    histograms = Calibration.load(work_folder(bundle) / "model.calib").histograms
    scales = QuantizationTable.load(bundle / "quant.json").activations
    name = max(scales, key=lambda tensor: histograms[tensor].largest / scales[tensor].limit)
    histogram, clip = histograms[name], scales[name].limit
    draw_range(axes, histogram, clip)
    axes.set_title(
        f"clipped at {clip:.3g} of {histogram.largest:.3g}: {name}", color=INK, fontsize=9
    )
