from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from edge_sdk.datasets import Labels, open_dataset
from edge_sdk.datasets.sample import FileSample
from edge_sdk.head_spec import Preprocessing
from edge_sdk.runtime.sources.street import CLASS_NAMES, StreetOptions
from edge_sdk.training.augmentation import Augmentation, Placer
from edge_sdk.training.batches import Batch, Batches, pad_objects
from edge_sdk.training.data import training_data
from edge_sdk.training.examples import DatasetExamples, StreetExamples
from edge_sdk.training.recipe import Recipe

SIZE = (64, 96)


def batches(toys: Path, seed: int = 0) -> Batches:
    examples = DatasetExamples(open_dataset(toys, "train"))
    return Batches(examples, Placer(Preprocessing(), SIZE, Augmentation()), size=3, seed=seed)


def equal(first: Batch, second: Batch) -> bool:
    return torch.equal(first.images, second.images) and all(
        torch.equal(a, b) for a, b in zip(first.objects, second.objects, strict=True)
    )


def test_a_batch_depends_on_seed_and_step_alone(toys: Path) -> None:
    ahead = list(batches(toys).ahead(2, 7, workers=2))
    assert len(ahead) == 5
    assert all(equal(batch, batches(toys).batch(step)) for step, batch in enumerate(ahead, 2))
    assert not equal(batches(toys).batch(0), batches(toys).batch(1))
    assert not equal(batches(toys).batch(0), batches(toys, seed=1).batch(0))


def test_abandoned_batches_stop_their_threads(toys: Path) -> None:
    stream = batches(toys).ahead(0, 10_000, workers=2)
    next(stream)
    stream.close()  # hangs if threads went on to step 10,000


def test_every_pass_shows_every_picture_once_in_another_order(toys: Path) -> None:
    examples = DatasetExamples(open_dataset(toys, "train"))
    passes = [
        [examples.example(7, epoch * 8 + index).image.tobytes() for index in range(8)]
        for epoch in range(2)
    ]
    assert len(set(passes[0])) == 8
    assert set(passes[0]) == set(passes[1])
    assert passes[0] != passes[1]


def test_crowd_regions_are_not_learnt(toys: Path) -> None:
    dataset = open_dataset(toys, "train").first(1)
    sample = dataset.images[0]
    assert isinstance(sample, FileSample)
    boxes = np.array([[0, 0, 20, 20], [30, 30, 60, 60]], np.float32)
    crowded = replace(sample, known=Labels.of(boxes, [0, 1], crowd=[True, False]))
    example = DatasetExamples(replace(dataset, images=[crowded])).example(0, 0)
    assert example.class_ids.tolist() == [1]
    assert example.boxes.tolist() == [[30, 30, 60, 60]]


def test_street_frames_are_new_at_every_position_and_the_same_every_time() -> None:
    examples = StreetExamples(StreetOptions(size=(96, 160)))
    first = examples.example(0, 0)
    again = StreetExamples(StreetOptions(size=(96, 160))).example(0, 0)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.boxes, again.boxes)
    others = [examples.example(0, 1), examples.example(1, 0)]
    assert all(not np.array_equal(first.image, other.image) for other in others)
    assert {examples.example(0, position).image.shape[0] for position in range(12)} == {48, 96}


def test_training_and_validation_never_share_a_street() -> None:
    recipe = Recipe("test://street?seed=3&size=160x96", validation_images=4)
    examples, _, validation = training_data(recipe)
    assert examples.names == validation.names == CLASS_NAMES
    assert len(validation) == 4
    assert "split=train" not in validation.images[0].name
    assert all("seed=1003" in sample.name for sample in validation.images)


def test_objects_are_padded_to_the_largest_number() -> None:
    boxes = (torch.ones(2, 4), torch.zeros(0, 4))
    padded = pad_objects(boxes, (torch.tensor([1, 2]), torch.zeros(0, dtype=torch.long)))
    assert padded.boxes.shape == (2, 2, 4)
    assert padded.present.tolist() == [[True, True], [False, False]]
    empty = pad_objects(boxes[1:], (torch.zeros(0, dtype=torch.long),))
    assert empty.boxes.shape == (1, 1, 4)
    assert not empty.present.any()


def test_the_network_sees_numbers_from_0_to_1_with_channels_first() -> None:
    images = torch.randint(256, (2, 4, 6, 3), dtype=torch.uint8)
    seen = Batch(images, pad_objects((torch.zeros(0, 4),) * 2, (torch.zeros(0).long(),) * 2))
    values = seen.network_input()
    assert values.shape == (2, 3, 4, 6)
    assert values.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(values[1, 2, 3, 5], images[1, 3, 5, 2] / 255)
