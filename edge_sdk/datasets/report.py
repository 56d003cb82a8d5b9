"""What is in a data set, and what about it is odd: looked at before a training, not after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edge_sdk.datasets.duplicates import Fingerprints, Twin, fingerprints, twins
from edge_sdk.datasets.opening import open_dataset
from edge_sdk.datasets.sample import Dataset
from edge_sdk.datasets.splits import MissingSplit
from edge_sdk.errors import EdgeError
from edge_sdk.progress import Progress, silent

NAMED = 5
"""Classes that a warning names, at most."""


@dataclass(frozen=True)
class SplitReport:
    """One split.

    Attributes
    ----------
    name : in the data set.
    images : their number.
    unlabelled : images without objects.
    objects : number of objects of each class.
    """

    name: str
    images: int
    unlabelled: int
    objects: tuple[int, ...]


@dataclass(frozen=True)
class DatasetReport:
    """A data set that can be trained with.

    Attributes
    ----------
    source : what was opened.
    names : of the classes.
    splits : train, val and, where there is one, test.
    warnings : one sentence for everything that is odd, with counts.
    """

    source: str
    names: tuple[str, ...]
    splits: tuple[SplitReport, ...]
    warnings: tuple[str, ...]


def check_dataset(source: str, progress: Progress = silent) -> DatasetReport:
    """Open all splits of a data set, read all images, and say what is odd.

    Raises
    ------
    EdgeError
        If it cannot be trained with: there is no train or val split, a label or an image is
        malformed, the splits name other classes, or no object is labelled.
    """
    train, val = open_pair(source)
    test, excuse = _test_split(source)
    splits = [train, val] if test is None else [train, val, test]
    reports = tuple(_split_report(split) for split in splits)
    for split, report in zip((train, val), reports, strict=False):
        if not any(report.objects):
            raise EdgeError(f"{source}: no object is labelled in the split {split.split!r}.")
    warnings = [
        *(f"{split.split}: {remark}" for split in splits for remark in split.remarks),
        *excuse,
        *_few(reports),
        *_classes(train.names, reports),
        *_shared_images(splits, progress),
    ]
    return DatasetReport(source, train.names, reports, tuple(warnings))


def open_pair(source: str) -> tuple[Dataset, Dataset]:
    """Return the train and the val split of a data set.

    Raises
    ------
    EdgeError
        If one is missing or cannot be used, they name other classes, or the source is a single
        split.
    """
    train, val = open_dataset(source, "train"), open_dataset(source, "val")
    if train.names != val.names:
        raise EdgeError(
            f"{source}: the classes of train ({', '.join(train.names)}) are not those of val "
            f"({', '.join(val.names)}): label both with the same list."
        )
    if train.split == val.split:
        raise EdgeError(f"{source} is one split: give the folder that holds train and val.")
    return train, val


def _test_split(source: str) -> tuple[Dataset | None, list[str]]:
    """Return the test split, or None and why one that is named cannot be used."""
    try:
        return open_dataset(source, "test"), []
    except MissingSplit:
        return None, []
    except EdgeError as error:
        return None, [f"test cannot be used: {error}"]


def _split_report(split: Dataset) -> SplitReport:
    ids = [class_id for sample in split.images for class_id in sample.class_ids.tolist()]
    objects = np.bincount(ids, minlength=len(split.names)).tolist() if ids else [0]
    unlabelled = sum(not len(sample.boxes) for sample in split.images)
    return SplitReport(split.split, len(split), unlabelled, tuple(objects))


def _few(reports: Sequence[SplitReport]) -> Iterator[str]:
    meaning = ("the network will learn that picture by heart", "its mAP says next to nothing")
    for report, what in zip(reports, (meaning[0], meaning[1], meaning[1]), strict=False):
        if report.images == 1:
            yield f"{report.name} has one image: {what}"


def _classes(names: Sequence[str], reports: Sequence[SplitReport]) -> Iterator[str]:
    if repeated := [name for name, times in Counter(names).items() if times > 1]:
        yield f"several classes are called {_listed(repeated)}: give each a name of its own"
    meaning = ("they cannot be learned", "they are not measured", "they are not measured")
    for report, what in zip(reports, meaning, strict=False):
        missing = [name for name, count in zip(names, report.objects, strict=False) if not count]
        if missing:
            yield f"{report.name} has no object of {_listed(missing)}: {what}"


def _shared_images(splits: Sequence[Dataset], progress: Progress) -> Iterator[str]:
    """Yield a sentence for every pair of splits that share images."""
    known: list[tuple[Dataset, Fingerprints]] = []
    for split in splits:
        own = fingerprints(split, progress)
        for other, prints in known:
            found = twins(own, prints)
            for exact, how in ((True, "are also in"), (False, "look the same as images of")):
                some = [twin for twin in found if twin.exact == exact]
                if some:
                    yield _sentence(split, other, some, how)
        known.append((split, own))


def _sentence(split: Dataset, other: Dataset, found: Sequence[Twin], how: str) -> str:
    first, second = split.images[found[0].own].name, other.images[found[0].other].name
    return (
        f"{split.split}: {len(found)} of {len(split)} images {how} {other.split}, first {first} "
        f"and {second}: accuracy on them says little about new images"
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
