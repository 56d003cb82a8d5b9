import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from edge_sdk.calibration.charts import Point, range_chart, scatter
from edge_sdk.calibration.observers import Histogram


def parse(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def test_points_lie_where_their_values_are() -> None:
    points = [
        Point(10.0, 0.0, "float", "baseline"),
        Point(2.0, 0.4, "all <INT8>", "baseline"),
        Point(5.0, 0.1, "hybrid", "tried"),
        Point(4.0, 0.2, "best", "chosen"),
    ]
    root = parse(scatter(points, [(10.0, 0.0), (2.0, 0.4)], "ms", "loss"))
    marks = {mark.findtext("title"): mark.attrib for mark in root.iter("circle")}
    assert float(marks["float"]["cx"]) > float(marks["hybrid"]["cx"]) > float(marks["best"]["cx"])
    assert float(marks["all <INT8>"]["cy"]) < float(marks["best"]["cy"])
    assert marks["best"]["class"] == "chosen"
    labels = {text.text for text in root.iter("text")}
    assert {"float", "all <INT8>", "best", "ms", "loss"} <= labels
    assert "hybrid" not in labels


@pytest.mark.parametrize("values", [[], [0.0], [3e-7, 1e-6], [1e5]])
def test_a_chart_of_any_numbers_is_drawn(values: list[float]) -> None:
    points = [Point(value, value, "one", "tried") for value in values]
    for mark in parse(scatter(points, [(v, v) for v in values], "x", "y")).iter("circle"):
        assert 0 <= float(mark.attrib["cx"]) <= 560
        assert 0 <= float(mark.attrib["cy"]) <= 300


@pytest.mark.parametrize("signed", [True, False])
def test_a_histogram_shows_where_its_range_ends(signed: bool) -> None:
    histogram = Histogram(signed)
    histogram.add(np.abs(np.random.default_rng(0).normal(0, 1, 5000)).astype(np.float32))
    root = parse(range_chart(histogram, 2.0, "tensor"))
    assert len(list(root.iter("line"))) == (2 if signed else 1)
    assert "tensor" in {text.text for text in root.iter("text")}


def test_a_dead_tensor_is_drawn() -> None:
    histogram = Histogram(False)
    histogram.add(np.zeros(8, np.float32))
    parse(range_chart(histogram, 127.0, "dead"))
