from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.calibration.observers import Histogram
from edge_sdk.calibration.ranges import energy, grid_step, squared_error
from edge_sdk.errors import EdgeError
from edge_sdk.quantization_table import STEPS

METHODS = ("mse", "max", "percentile", "entropy")


def histogram_of(values: np.ndarray, signed: bool = True) -> Histogram:
    histogram = Histogram(signed)
    histogram.add(values.astype(np.float32))
    return histogram


def limit(histogram: Histogram, method: str) -> float:
    return STEPS * grid_step(histogram, method)


def true_error(values: np.ndarray, limit: float, steps: int = STEPS) -> float:
    """Sum of squared errors of rounding to a grid of `steps` up to the limit, and down."""
    step = limit / steps
    return float(np.square(values - step * np.clip(np.rint(values / step), -steps, steps)).sum())


@pytest.fixture(scope="module")
def laplace_with_outlier() -> tuple[np.ndarray, Histogram]:
    """32 batches of Laplace(1), streamed, and one outlier of 60."""
    rng = np.random.default_rng(0)
    values = rng.laplace(size=(32, 20_000))
    values[11, 5] = 60.0
    histogram = Histogram(signed=True)
    for batch in values.astype(np.float32):
        histogram.add(batch)
    return values, histogram


def test_max_keeps_the_outlier(laplace_with_outlier: tuple[np.ndarray, Histogram]) -> None:
    assert limit(laplace_with_outlier[1], "max") == pytest.approx(60.0)


def test_entropy_clips_the_outlier(laplace_with_outlier: tuple[np.ndarray, Histogram]) -> None:
    assert 6 < limit(laplace_with_outlier[1], "entropy") < 16


def test_entropy_clips_where_there_are_few_values() -> None:
    values = np.random.default_rng(1).laplace(size=32 * 1000)
    values[7] = 60.0
    assert 6 < limit(histogram_of(values), "entropy") < 20


def test_percentile_is_that_of_numpy(laplace_with_outlier: tuple[np.ndarray, Histogram]) -> None:
    values, histogram = laplace_with_outlier
    expected = np.percentile(np.abs(values), 99.99)
    assert limit(histogram, "percentile") == pytest.approx(expected, abs=histogram.width)


@pytest.mark.parametrize("steps", [127, 255])
def test_mse_is_the_best_range_of_the_grid(
    laplace_with_outlier: tuple[np.ndarray, Histogram], steps: int
) -> None:
    values, histogram = laplace_with_outlier
    best = min(true_error(values, clip, steps) for clip in np.geomspace(2, 60, 150))
    found = STEPS * grid_step(histogram, "mse", steps)
    assert true_error(values, found, steps) < 1.002 * best
    assert found < 0.6 * histogram.largest


def test_a_finer_grid_clips_less(laplace_with_outlier: tuple[np.ndarray, Histogram]) -> None:
    histogram = laplace_with_outlier[1]
    assert grid_step(histogram, "mse", 255) > 1.05 * grid_step(histogram, "mse")


@pytest.mark.parametrize("clip", [3.0, 10.0, 59.0])
@pytest.mark.parametrize("steps", [127, 255])
def test_expected_error_is_the_true_one(
    laplace_with_outlier: tuple[np.ndarray, Histogram], clip: float, steps: int
) -> None:
    values, histogram = laplace_with_outlier
    expected = squared_error(histogram, clip / STEPS, steps)
    assert expected == pytest.approx(true_error(values, clip, steps), rel=0.01)


def test_energy_is_the_sum_of_squares(
    laplace_with_outlier: tuple[np.ndarray, Histogram],
) -> None:
    values, histogram = laplace_with_outlier
    assert energy(histogram) == pytest.approx(float(np.square(values).sum()), rel=0.001)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.37, 4.0, 1e-20, 3e30])
def test_a_constant_tensor_is_kept(method: str, value: float) -> None:
    histogram = histogram_of(np.full(1000, value), signed=False)
    step = grid_step(histogram, method)
    assert step * min(round(value / step), STEPS) == pytest.approx(value, rel=0.01)


@pytest.mark.parametrize("method", METHODS)
def test_a_dead_tensor_has_a_step(method: str) -> None:
    assert grid_step(histogram_of(np.zeros(5), signed=False), method) == 1.0
    assert grid_step(Histogram(signed=True), method) == 1.0


@pytest.mark.parametrize("method", METHODS)
def test_zeros_do_not_shrink_the_range(method: str) -> None:
    values = np.abs(np.random.default_rng(2).normal(size=2000))
    sparse = np.concatenate([values, np.zeros(100_000_0)])
    dense = grid_step(histogram_of(values, signed=False), method)
    assert grid_step(histogram_of(sparse, signed=False), method) == pytest.approx(dense)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", ["normal", "relu", "uniform"])
def test_nothing_is_clipped_wildly(method: str, shape: str) -> None:
    rng = np.random.default_rng(3)
    values = {
        "normal": rng.normal(size=100_000),
        "relu": np.maximum(rng.normal(size=100_000), 0),
        "uniform": rng.uniform(0, 3, 100_000),
    }[shape]
    histogram = histogram_of(values, signed=shape == "normal")
    assert 0.75 * histogram.largest < limit(histogram, method) <= histogram.largest * (1 + 1e-6)


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(EdgeError, match="'minmax'"):
        grid_step(Histogram(signed=True), "minmax")
