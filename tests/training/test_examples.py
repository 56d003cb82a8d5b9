from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.datasets import Dataset, Labels, Sample
from edge_sdk.training.data import joint_dataset
from edge_sdk.training.examples import DatasetExamples, JointExamples


class Plain(Sample):
    """A picture of one grey, which counts how often it is read."""

    def __init__(self, grey: int, *class_ids: int) -> None:
        self.grey = grey
        self.reads = 0
        self._labels = Labels.of([[0, 0, 2, 2]] * len(class_ids), class_ids)

    @property
    def name(self) -> str:
        return f"grey {self.grey}"

    def read(self) -> np.ndarray:
        self.reads += 1
        return np.full((4, 4, 3), self.grey, np.uint8)

    @property
    def labels(self) -> Labels:
        return self._labels


def dataset(names: tuple[str, ...], *samples: Plain) -> Dataset:
    return Dataset(names, samples, "here", "train")


def test_every_pass_has_every_picture_once_in_an_order_of_its_own() -> None:
    examples = DatasetExamples(dataset(("a",), *(Plain(grey, 0) for grey in range(20))))
    passes = [
        [int(examples.example(5, 20 * epoch + index).image[0, 0, 0]) for index in range(20)]
        for epoch in range(2)
    ]
    assert sorted(passes[0]) == sorted(passes[1]) == list(range(20))
    assert passes[0] != passes[1]


def test_pictures_are_read_once_while_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = {"SC_PAGE_SIZE": 48, "SC_PHYS_PAGES": 3 * 4}  # room for three pictures
    monkeypatch.setattr("os.sysconf", memory.__getitem__)
    samples = [Plain(grey, 0) for grey in range(5)]
    examples = DatasetExamples(dataset(("a",), *samples))
    for position in range(20):
        examples.example(0, position)
    assert sorted(sample.reads for sample in samples) == [1, 1, 1, 4, 4]


def test_joint_examples_take_turns_and_share_names() -> None:
    first = dataset(("cat", "dog"), Plain(1, 0, 1))
    second = dataset(("emu", "cat"), Plain(2, 1, 0))
    joint = JointExamples([DatasetExamples(first), DatasetExamples(second)])
    assert joint.names == ("cat", "dog", "emu")
    seen = [joint.example(0, position) for position in range(4)]
    assert [int(example.image[0, 0, 0]) for example in seen] == [1, 2, 1, 2]
    assert [example.class_ids.tolist() for example in seen] == [[0, 1], [0, 2], [0, 1], [0, 2]]


def test_a_joint_data_set_has_the_same_ids() -> None:
    joint = joint_dataset([dataset(("cat", "dog"), Plain(1, 0, 1)),
                           dataset(("emu", "cat"), Plain(2, 1, 0))])  # fmt: skip
    assert joint.names == ("cat", "dog", "emu")
    assert [sample.class_ids.tolist() for sample in joint.images] == [[0, 1], [0, 2]]
    assert int(joint.images[1].read()[0, 0, 0]) == 2
