"""The folder in which `hybrid.py` makes what it measures; what is there is not made again."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from hybrid_subjects import Subject

import edge_sdk
from edge_sdk.budget import Budget
from edge_sdk.bundle import Bundle
from edge_sdk.calibration import Calibration
from edge_sdk.calibration.pictures import pictures
from edge_sdk.cli.console import progress_bar
from edge_sdk.converters.model_file import head_spec_of, load_model
from edge_sdk.converters.quantization_points import quantization_points
from edge_sdk.datasets import open_dataset
from edge_sdk.evaluation.class_match import match_classes
from edge_sdk.head_spec import HeadSpec
from edge_sdk.runtime.letterbox import Letterbox

FLOAT, ALL_INT8, HYBRID = "float", "all INT8", "hybrid"
HAND_MADE = "hand-made list"
METHODS = ("mse", "max", "percentile", "entropy")
BUDGETS = {
    **{f"shift {limit:g}": {"max_shift": limit} for limit in (0.0002, 0.0005, 0.001, 0.003, 0.006)},
    **{f"drop {limit:g}": {"max_drop": limit} for limit in (0.1, 0.3)},
}
PLAIN = ("mse", "entropy")
"""Methods that all INT8 is also made with without ranges for single channels."""
MADE_AS = {ALL_INT8: 3, HAND_MADE: 3, HYBRID: 6}
"""Raised when the tree makes other candidates of ours than before: those of peers stay."""
SCRIPTS = Path(__file__).parent / "hybrid"


class Peer(NamedTuple):
    """Another tool: its script, the environment that it runs in, its presets."""

    script: str
    environment: str
    presets: tuple[str, ...]
    targets: tuple[str, ...] = ("openvino", "onnxruntime")


PEERS = {
    "ONNX Runtime quantize_static": Peer(
        "peer_onnxruntime.py", "peers",
        ("min-max, convolutions", "percentile, convolutions", "entropy, convolutions"),
    ),
    "NNCF quantize": Peer(
        "peer_nncf.py", "peers", ("performance", "mixed", "mixed, accurate bias"), ("openvino",)
    ),
    "NNCF accuracy control": Peer(
        "peer_nncf_accuracy.py", "peers", ("0.01", "0.003", "0.001"), ("openvino",)
    ),
    "Model-Optimizer quantize": Peer(
        "peer_modelopt.py", "modelopt", ("entropy", "max", "entropy, predictions float")
    ),
}  # fmt: skip


class Candidate(NamedTuple):
    """One engine to be measured.

    Attributes
    ----------
    what, preset : the tool, and how it was set.
    file : for `open_engine`.
    """

    what: str
    preset: str
    file: Path

    @property
    def name(self) -> str:
        """Tool and preset in one."""
        return f"{self.what}: {self.preset}" if self.preset else self.what


@dataclass(frozen=True)
class Workshop:
    """One subject's folder.

    Attributes
    ----------
    subject : what is measured.
    folder : of this subject alone.
    target : the engine library that everything runs in.
    pythons : environment of a peer -> its interpreter; peers without one are left out.
    """

    subject: Subject
    folder: Path
    target: str
    pythons: dict[str, Path]

    @property
    def model(self) -> Path:
        """The float model that all candidates are made of: one convolution a block, head cut."""
        path = self.folder / "model.onnx"
        if not path.is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            edge_sdk.convert(self.subject.source, path, head=self.subject.head)
        return path

    @cached_property
    def spec(self) -> HeadSpec:
        """The contract of all candidates."""
        return head_spec_of(load_model(self.model))

    @property
    def images(self) -> str:
        """What everyone calibrates on."""
        if self.subject.street:
            return "test://street"
        folder = self.folder / "calibration_images"
        if not folder.is_dir():
            beside = folder.with_suffix(".part")
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir()
            for sample in open_dataset(*self.subject.labels).images:
                (beside / Path(sample.name).name).symlink_to(Path(sample.name).resolve())
            beside.rename(folder)
        return str(folder)

    @cached_property
    def calibration(self) -> Path:
        """Histograms for our own candidates."""
        path = self.folder / "model.calib"
        with progress_bar() as progress:
            edge_sdk.calibrate(
                self.model, self.images, path, limit=self.subject.limit, progress=progress
            )
        return path

    @property
    def inputs(self) -> Path:
        """The same images as inputs of the network, float32 [images, 3, H, W]."""
        path = self.folder / "inputs.npy"
        if not path.is_file():
            chosen = pictures(self.images, self.subject.limit)
            letterbox = Letterbox(self.spec.preprocessing, self.spec.input_size)
            batch = np.zeros((len(chosen), 3, *self.spec.input_size), np.float32)
            for picture, image in zip(chosen, batch, strict=True):
                letterbox(picture.read(), image)
            np.save(path, batch)
        return path

    @property
    def labelled_inputs(self) -> Path:
        """Labelled images in the network's pixels, for peers that control accuracy."""
        path = self.folder / "labelled.npz"
        if not path.is_file():
            dataset = open_dataset(*self.subject.labels)
            classes = match_classes(dataset.names, self.spec.class_names)
            assert dataset.names == self.spec.class_names or not classes.remarks, classes.remarks
            renumber = {i: self.spec.class_names.index(n) for i, n in enumerate(dataset.names)}
            letterbox = Letterbox(self.spec.preprocessing, self.spec.input_size)
            samples = dataset.images[: self.subject.labelled]
            images = np.zeros((len(samples), 3, *self.spec.input_size), np.float32)
            boxes, class_ids = [], []
            for sample, image in zip(samples, images, strict=True):
                placement = letterbox(sample.read(), image)
                labels = sample.labels
                kept = ~(labels.crowd | labels.difficult)
                corner = np.array([placement.left, placement.top] * 2, np.float32)
                boxes.append(labels.boxes[kept] * np.float32(placement.scale) + corner)
                class_ids.append([renumber[int(i)] for i in labels.class_ids[kept]])
            np.savez(
                path, inputs=images, boxes=np.concatenate(boxes),
                class_ids=np.concatenate(class_ids).astype(np.int32),
                counts=np.array(list(map(len, boxes)), np.int32),
            )  # fmt: skip
        return path

    def candidates(self) -> list[Candidate]:
        """Make what is missing; return everything that could be made, ours first."""
        made = [Candidate(FLOAT, "", self.model)]
        for method in METHODS:
            made.append(self.bundle(ALL_INT8, method, method=method))
        if self.target == "openvino" and quantization_points(load_model(self.model)).channels:
            for method in PLAIN:
                name = f"{method}, a range a tensor"
                made.append(self.bundle(ALL_INT8, name, method=method, plain=True))
        for name, patterns in self.subject.hand_made.items():
            made.append(self.bundle(HAND_MADE, name, patterns))
        for name, limits in BUDGETS.items():
            made.append(self.bundle(HYBRID, name, limits=limits))
        for what, peer in PEERS.items():
            if peer.environment not in self.pythons:
                print(f"Without {what}: give its interpreter with --{peer.environment}.")
            elif self.target in peer.targets:
                made += [self._peer(what, peer, preset) for preset in peer.presets]
        return [candidate for candidate in made if candidate is not None]

    def bundle(
        self,
        what: str,
        preset: str,
        keep_float: Sequence[str] = (),
        *,
        method: str = "mse",
        limits: dict[str, float] | None = None,
        plain: bool = False,
    ) -> Candidate:
        """Make a bundle of ours, as `deploy` does; searches share what they measure.

        If `plain`, no tensor has ranges for its channels.
        """

        def make(folder: Path) -> None:
            plan = folder / "plan.yaml"
            with progress_bar() as progress:
                if limits is None:
                    edge_sdk.plan(
                        self.model, self.calibration, self.target, plan,
                        keep_float=keep_float, method=method,
                    )  # fmt: skip
                else:
                    labels, split = self.subject.labels
                    budget = Budget(**limits, labels=labels, split=split)
                    plan = self.folder / f"{self.target}.search{MADE_AS[HYBRID]}" / "plan.yaml"
                    plan.parent.mkdir(exist_ok=True)
                    edge_sdk.plan(
                        self.model, self.calibration, self.target, plan, budget=budget,
                        images=self.images, threads=1, progress=progress,
                    )  # fmt: skip
                table = self._plain_table(folder, method) if plain else None
                edge_sdk.build(
                    self.model, self.calibration, plan, self.target,
                    folder / "bundle.edge", table=table, keep_int8=True, progress=progress,
                )  # fmt: skip

        folder = self._once(what, f"{preset} {MADE_AS[what]}", make)
        assert folder is not None
        with Bundle.open(folder / "bundle.edge") as bundle:
            return Candidate(what, preset, bundle.engine_file(self.target))

    def _plain_table(self, folder: Path, method: str) -> Path:
        table = Calibration.load(self.calibration).quantization_table(
            load_model(self.model), self.target, method
        )
        replace(table, channels={}).save(folder / "table.json")
        return folder / "table.json"

    def _peer(self, what: str, peer: Peer, preset: str) -> Candidate | None:
        def make(folder: Path) -> None:
            arguments = [self.model, self.inputs, folder, preset]
            if peer.script == "peer_nncf_accuracy.py":
                arguments.append(self.labelled_inputs)
            with open(folder / "log.txt", "w", encoding="utf-8") as log:
                subprocess.run(
                    [self.pythons[peer.environment], SCRIPTS / peer.script, *arguments],
                    env={**os.environ, "PYTHONPATH": str(SCRIPTS.parents[1])},
                    stdout=log, stderr=subprocess.STDOUT, check=True,
                )  # fmt: skip

        folder = self._once(what, preset, make)
        if folder is None:
            return None
        return Candidate(what, preset, next(folder.glob("model.[xo][mn]*")))

    def _once(self, what: str, preset: str, make: Callable[[Path], None]) -> Path | None:
        """Return the folder of a candidate, whole; None if it could not be made."""
        name = re.sub(r"[^a-z0-9.]+", "_", f"{self.target} {what} {preset}".lower())
        folder, part = self.folder / "candidates" / name, self.folder / "part" / name
        if folder.is_dir():
            return folder
        print(f"making {what} {preset}", file=sys.stderr)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            make(part)
        except subprocess.CalledProcessError:
            print(f"{what} ({preset}) failed: see {part / 'log.txt'}.", file=sys.stderr)
            return None
        folder.parent.mkdir(exist_ok=True)
        part.rename(folder)
        return folder
