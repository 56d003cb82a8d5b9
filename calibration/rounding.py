"""Rounding of weights that is learned on calibration images (AdaRound).

Rounding every weight to the nearest step is the least error of the weights, not of what the layer
makes of them. Here each weight may go to the step below or above it, and the choice is learned so
that the layer's outputs come close to float's (Nagel et al., Up or Down? Adaptive Rounding for
Post-Training Quantization, ICML 2020):

    w = s clip(floor(w / s) + h(v), -127, 127),   h(v) = clip(1.2 sigmoid(v) - 0.1, 0, 1),
    minimize |f(x) - f_w(x')|^2 / |f(x)|^2 + 0.1 mean(1 - |2 h(v) - 1|^b)

over v, with b falling from 20 to 2 in the last four fifths, so that every h ends at 0 or 1. x' is
the layer's float input on its grid: like a corrected bias, the result holds whatever else is
INT8. A layer keeps the nearest integers where the learned ones are no better on images that they
were not learned on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import EdgeError
from edge_sdk.progress import Progress, silent
from edge_sdk.quantization_table import QuantizationTable

if TYPE_CHECKING:
    import onnx
    from torch import Generator, Tensor

    from edge_sdk.converters.lowering.quantization import WeightGrid
    from edge_sdk.converters.network_run import Step
    from edge_sdk.converters.switchable import SwitchableNetwork

    _Pair = tuple[Tensor, Tensor]

ITERATIONS = 100
_RATE = 0.05
_PRESSURE = 0.1
_WARM_UP = 0.2
_SIDE = 40
"""Pixels a side of the piece of an image that one iteration sees."""
_BATCH = 4
"""Images that one iteration sees a piece of."""


def learn_rounding(
    model: onnx.ModelProto,
    table: QuantizationTable,
    target: str,
    images: Sequence[npt.NDArray[np.float32]],
    *,
    iterations: int = ITERATIONS,
    seed: int = 0,
    progress: Progress = silent,
) -> QuantizationTable:
    """Return the table with learned integers for the weights.

    Memory is that of all images' feature maps at the graph's widest cut. There is no 7-bit form:
    learned integers hold on the table's own grid only.

    Parameters
    ----------
    model : the float graph.
    table : its quantization table; its biases stay as they are, so correct them afterwards.
    target : on whose grids the inputs are.
    images : float32 [1, 3, H, W] each, preprocessed, at least 2; every fourth is for checking.
    iterations : for each layer.
    seed : of the pieces of images.
    progress : told of each layer.

    Raises
    ------
    EdgeError
        If there are fewer than two images.
    """
    import torch

    from edge_sdk.converters.switchable import SwitchableNetwork

    if len(images) < 2:
        raise EdgeError("Learned rounding needs at least two images.")
    network = SwitchableNetwork(model, replace(table, rounded={}), target)
    layers = frozenset(step.node.name for step in network.steps if step.is_layer)
    wiring = network.wiring(layers)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        runs = [network.begin(torch.from_numpy(image), frozenset(), ()) for image in images]
    rounded: dict[str, npt.NDArray[np.int8]] = {}
    done = 0
    for number, step in enumerate(network.steps):
        if step.is_layer:
            progress(done, len(layers), "learning to round")
            done += 1
            read = wiring.reads[number][0]
            grid = wiring.quantization.activations[read.name]
            with torch.no_grad():
                inputs = [
                    (run.tensors[step.inputs[0]],
                     network.on_grid(run.tensors[read.name], read.name, grid) * read.factor)
                    for run in runs
                ]  # fmt: skip
            layer = _Layer(network, step, wiring.quantization.weights[step.inputs[1]])
            layer.learn(inputs[::2] + inputs[1::4], iterations, generator)
            if layer.error(inputs[3::4] or inputs[1:2], learned=True) < layer.error(
                inputs[3::4] or inputs[1:2], learned=False
            ):
                rounded[step.inputs[1]] = layer.integers()
        with torch.no_grad():
            for run in runs:
                run.step(number)
    progress(len(layers), len(layers), "learning to round")
    return replace(table, rounded=rounded)


class _Layer:
    """One layer whose rounding is learned.

    Parameters
    ----------
    network : it is a part of.
    step : the layer.
    grid : of its weight.
    """

    def __init__(self, network: SwitchableNetwork, step: Step, grid: WeightGrid) -> None:
        import torch

        from edge_sdk.converters.switchable import key_of

        self._step, self._limit = step, grid.limit
        self._weight, *self._bias = (network.values[key_of(name)] for name in step.inputs[1:])
        self._scale = torch.from_numpy(grid.aligned(self._weight.ndim).copy())
        steps = self._weight / self._scale
        self._nearest = steps.round().clamp(-grid.limit, grid.limit)
        self._floor = steps.floor()
        part = steps - self._floor
        self._v = -(1.2 / (part + 0.1) - 1).log()

    def learn(self, inputs: Sequence[_Pair], iterations: int, generator: Generator) -> None:
        """Minimize the module's loss over pieces of the inputs."""
        import torch

        self._v.requires_grad_(True)
        optimizer = torch.optim.Adam([self._v], _RATE)
        for iteration in range(iterations):
            exact, rounded = _pieces(inputs, generator)
            with torch.no_grad():
                wanted = self._outputs(exact, self._weight)
            made = self._outputs(rounded, self._soft())
            loss = (made - wanted).square().mean() / wanted.var().clamp_min(1e-12)
            late = (iteration / iterations - _WARM_UP) / (1 - _WARM_UP)
            if late > 0:
                power = 20 - 18 * late
                loss = loss + _PRESSURE * (1 - (2 * self._h() - 1).abs() ** power).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        self._v.requires_grad_(False)

    def error(self, inputs: Sequence[_Pair], *, learned: bool) -> float:
        """Return the squared error of the layer's outputs with these integers."""
        import torch

        weight = (self._hard() if learned else self._nearest) * self._scale
        with torch.no_grad():
            errors = [
                self._outputs(rounded, weight) - self._outputs(exact, self._weight)
                for exact, rounded in inputs
            ]
        return sum(float(error.square().sum()) for error in errors)

    def integers(self) -> npt.NDArray[np.int8]:
        """Return what was learned, contiguous."""
        return np.ascontiguousarray(self._hard().numpy().astype(np.int8))

    def _outputs(self, x: Tensor, weight: Tensor) -> Tensor:
        made = self._step.run(x, weight, *self._bias)
        assert not isinstance(made, tuple)
        return made

    def _h(self) -> Tensor:
        h: Tensor = (1.2 * self._v.sigmoid() - 0.1).clamp(0, 1)
        return h

    def _soft(self) -> Tensor:
        soft: Tensor = (self._floor + self._h()).clamp(-self._limit, self._limit) * self._scale
        return soft

    def _hard(self) -> Tensor:
        hard: Tensor = (self._floor + (self._h() >= 0.5)).clamp(-self._limit, self._limit)
        return hard


def _pieces(inputs: Sequence[_Pair], generator: Generator) -> _Pair:
    """Return the same random piece of a few of the inputs, as a batch."""
    import torch

    chosen = torch.randperm(len(inputs), generator=generator)[:_BATCH].tolist()
    height, width = inputs[0][0].shape[2:]
    top, left = (
        int(torch.randint(max(side - _SIDE, 0) + 1, (1,), generator=generator))
        for side in (height, width)
    )
    cuts = [
        [one[:, :, top : top + _SIDE, left : left + _SIDE] for one in inputs[number]]
        for number in chosen
    ]
    return torch.cat([cut[0] for cut in cuts]), torch.cat([cut[1] for cut in cuts])
