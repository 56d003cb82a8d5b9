from __future__ import annotations

import pytest
from labelled import detections

from edge_sdk.errors import EdgeError
from edge_sdk.evaluation.class_match import match_classes


def test_by_name_whatever_the_order_and_the_case():
    match = match_classes(("Dog", "traffic_light", "cow"), ("traffic light", "dog"))
    assert match.ids.tolist() == [1, 0, -1]
    assert match.remarks == ()
    box = [0, 0, 1, 1]
    renumbered = match.renumber(detections([box] * 3, [0, 1, 2], [0.9, 0.8, 0.7]))
    assert renumbered.class_ids.tolist() == [1, 0]
    assert renumbered.names == ("traffic light", "dog")


def test_what_the_model_lacks_is_said():
    (remark,) = match_classes(("dog",), ("dog", "truck", "cow")).remarks
    assert remark == "the model does not know truck, cow: counted with a precision of 0"


def test_by_number_where_no_name_is_shared():
    match = match_classes(("0", "1"), ("cat", "dog"))
    assert match.ids.tolist() == [0, 1]
    assert "matched by number (0 = cat" in match.remarks[0]


def test_strangers_are_refused():
    with pytest.raises(EdgeError, match=r"\(a, b, c\) share no name with the data set's \(x\)"):
        match_classes(("a", "b", "c"), ("x",))
