"""Batches, made ahead of time in threads, in an order that depends on seed and step alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from edge_sdk.training.assigner import Objects
from edge_sdk.training.augmentation import Placer
from edge_sdk.training.examples import Examples


class Batch(NamedTuple):
    """Images uint8 [B, H, W, 3] in the network's channel order, and their objects."""

    images: Tensor
    objects: Objects

    def to(self, device: torch.device) -> Batch:
        """Return the batch on another device."""
        moved = (tensor.to(device, non_blocking=True) for tensor in self.objects)
        return Batch(self.images.to(device, non_blocking=True), Objects(*moved))

    def network_input(self) -> Tensor:
        """Return the images as float32 [B, 3, H, W], 0..1, channels last in memory."""
        return self.images.permute(0, 3, 1, 2).float().div_(255)


@dataclass(frozen=True)
class Batches:
    """The batches of a training.

    Attributes
    ----------
    size : images in a batch.
    seed : chooses the sequence of pictures and their changes.
    """

    examples: Examples
    placer: Placer
    size: int
    seed: int

    def batch(self, step: int) -> Batch:
        """Return the batch of a step (0, 1, ...)."""
        images, boxes, class_ids = zip(
            *(self._placed(step * self.size + index) for index in range(self.size)), strict=True
        )
        return Batch(torch.from_numpy(np.stack(images)), pad_objects(boxes, class_ids))

    def ahead(self, start: int, stop: int, workers: int = 1) -> Iterator[Batch]:
        """Yield the batches of steps start..stop - 1, while `workers` threads make the next."""
        with ThreadPoolExecutor(workers, thread_name_prefix="batches") as pool:
            waiting: deque[Future[Batch]] = deque()
            try:
                for step in range(start, stop):
                    while len(waiting) <= workers and step + len(waiting) < stop:
                        waiting.append(pool.submit(self.batch, step + len(waiting)))
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _placed(
        self, position: int
    ) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], Tensor, Tensor]:
        example = self.examples.example(self.seed, position)
        # A third number keeps this chance apart from that of the examples.
        random = np.random.default_rng((self.seed, position, 1))
        image, boxes, class_ids = self.placer(*example, random)
        return image, torch.from_numpy(boxes), torch.from_numpy(class_ids.astype(np.int64))


def pad_objects(boxes: tuple[Tensor, ...], class_ids: tuple[Tensor, ...]) -> Objects:
    """Return the objects of several images, padded to the largest number (at least one)."""
    counts = torch.tensor([len(ids) for ids in class_ids])
    slots = max(1, int(counts.max()))
    padded = Objects(
        torch.zeros(len(counts), slots, 4),
        torch.zeros(len(counts), slots, dtype=torch.long),
        torch.arange(slots) < counts[:, None],
    )
    for image, count in enumerate(counts.tolist()):
        padded.boxes[image, :count] = boxes[image]
        padded.class_ids[image, :count] = class_ids[image]
    return padded
