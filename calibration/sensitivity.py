"""What each group of layers costs in accuracy, measured in both directions.

Labels are not needed; where there are some, what happens to the labelled objects counts.

For every group two runs an image: only it in INT8, and all but it in INT8; each is compared with
float by how far the outputs move (see `shift`). One network is prepared, its groups are switched,
and a run computes only what differs from the float run (or the all-INT8 run) of the same image.

One image is in memory at a time. What is measured on it is written before the next one, so that
an interrupted measurement goes on there.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edge_sdk.calibration.shift import Shift, image_shift, mean_shift, shift
from edge_sdk.errors import EdgeError
from edge_sdk.files import write_text
from edge_sdk.progress import Progress, silent
from edge_sdk.quantization_table import QuantizationTable

if TYPE_CHECKING:
    import onnx
    from torch import Tensor

    from edge_sdk.converters.network_run import Trace, Wiring
    from edge_sdk.converters.switchable import SwitchableNetwork

__all__ = [
    "Sensitivity", "Shift", "ShiftBench", "measure_sensitivity", "measure_shift", "shift",
]  # fmt: skip

SCHEMA = 1
Image = npt.NDArray[np.float32]

Row = dict[str, Shift]
"""What was measured on one image: "all" for all-INT8, "+GROUP" for only that group in INT8,
"-GROUP" for all but it."""
Rows = Iterator[tuple[str, Shift]]


@dataclass(frozen=True)
class Sensitivity:
    """Shifts of a model's outputs against float, mean over images.

    Attributes
    ----------
    key : what it was measured for: the model, the table, the target, the groups.
    rows : SHA-256 of an image -> what was measured on it; at least one.
    """

    key: Mapping[str, Any]
    rows: Mapping[str, Row] = field(default_factory=dict)

    @property
    def images(self) -> tuple[str, ...]:
        """SHA-256 of the images."""
        return tuple(self.rows)

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups, in the order of the graph."""
        return tuple(self.key["groups"])

    @property
    def all_int8(self) -> Shift:
        """All groups in INT8."""
        return self._mean("all")

    @property
    def alone(self) -> dict[str, Shift]:
        """Group -> shift with only that group in INT8."""
        return {name: self._mean(f"+{name}") for name in self.groups}

    @property
    def without(self) -> dict[str, Shift]:
        """Group -> shift with all but that group in INT8."""
        return {name: self._mean(f"-{name}") for name in self.groups}

    def save(self, path: Path | str) -> None:
        """Write it as JSON, whole or not at all."""
        rows = {
            image: {name: list(asdict(shift).values()) for name, shift in row.items()}
            for image, row in self.rows.items()
        }
        write_text(path, json.dumps({"schema": SCHEMA, "key": self.key, "rows": rows}))

    @classmethod
    def load(cls, path: Path | str) -> Sensitivity:
        """Read what `save` wrote.

        Raises
        ------
        EdgeError
            If the file cannot be read or is no such measurement.
        """
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
            if values["schema"] != SCHEMA:
                raise ValueError(f"schema {values['schema']}, this version reads {SCHEMA}")
            expected = _row_names(values["key"]["groups"])
            rows = {
                image: {name: Shift(*map(float, row[name])) for name in expected}
                for image, row in values["rows"].items()
            }
            return cls(values["key"], rows)
        except OSError as error:
            raise EdgeError(f"Cannot read {path}: {error.strerror or error}.") from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise EdgeError(
                f"{path} is no sensitivity analysis, or it is damaged ({error!r}): remove it, "
                "and it is measured again."
            ) from error

    def _mean(self, name: str) -> Shift:
        return mean_shift([row[name] for row in self.rows.values()])


def measure_sensitivity(
    model: onnx.ModelProto,
    table: QuantizationTable,
    target: str,
    images: Sequence[Image],
    output: Path | str,
    *,
    limit: int = 8,
    seed: int = 0,
    objects: Sequence[Image] | None = None,
    seven_bit_weights: bool | None = None,
    progress: Progress = silent,
) -> Sensitivity:
    """Measure every layer group of a model on calibration images.

    Parameters
    ----------
    model : the float graph with its head specification.
    table : its quantization table.
    target : whose grids are used.
    images : float32 [1, 3, H, W] each, preprocessed as the head specification says.
    output : the JSON file; what it holds of the same measurement is not measured again.
    limit : measure on so many of the images.
    seed : of their choice.
    objects : float32 [N, 4] for each image, its labelled objects (see `shift.image_shift`).
    seven_bit_weights : for CPUs without VNNI; None looks at this machine's CPU.
    progress : told of each group of each image.

    Raises
    ------
    EdgeError
        If there is no image, or the network cannot be run here.
    """
    from edge_sdk.converters.layer_groups import layer_groups
    from edge_sdk.converters.lowering.instruction_set import needs_seven_bit_weights
    from edge_sdk.converters.switchable import SwitchableNetwork

    if seven_bit_weights is None:
        seven_bit_weights = needs_seven_bit_weights(target)
    groups = {group.name: frozenset(group.layers) for group in layer_groups(model)}
    key = {
        "model": table.model_key,
        "table": table.key,
        "target": target,
        "weight_bits": 7 if seven_bit_weights else 8,
        "groups": list(groups),
    }
    if objects is not None:
        key["labels"] = hashlib.sha256(b"".join(boxes.tobytes() for boxes in objects)).hexdigest()
    known = _known(Path(output), key)
    bench = ShiftBench(
        model, SwitchableNetwork(model, table, target, seven_bit_weights=seven_bit_weights)
    )
    chosen = _chosen(images, limit, seed)
    labels = {_digest(image): boxes for image, boxes in zip(images, objects or (), strict=False)}
    rows: dict[str, Row] = {}
    steps = len(_row_names(groups))
    for number, (digest, image) in enumerate(chosen.items()):
        rows[digest] = dict(known.get(digest, {}))
        if not rows[digest]:
            for name, moved in _row(bench, groups, image, labels.get(digest)):
                progress(number * steps + len(rows[digest]), len(chosen) * steps, "sensitivity")
                rows[digest][name] = moved
            Sensitivity(key, {**known, **rows}).save(output)
    progress(len(chosen) * steps, len(chosen) * steps, "sensitivity")
    result = Sensitivity(key, rows)
    result.save(output)
    return result


def measure_shift(
    model: onnx.ModelProto,
    table: QuantizationTable,
    target: str,
    images: Sequence[Image],
    plans: Sequence[frozenset[str]],
    *,
    seven_bit_weights: bool = False,
) -> list[Shift]:
    """Return the mean shift of each plan.

    Parameters
    ----------
    model, table, target, images, seven_bit_weights : see `measure_sensitivity`.
    plans : each the names of the layers in INT8.
    """
    from edge_sdk.converters.switchable import SwitchableNetwork

    network = SwitchableNetwork(model, table, target, seven_bit_weights=seven_bit_weights)
    bench = ShiftBench(model, network)
    found: list[list[Shift]] = [[] for _ in plans]
    for image in images:
        base = bench.start(image)
        for plan, shifts in zip(plans, found, strict=True):
            shifts.append(bench.shift(base, network.wiring(plan)))
    return [mean_shift(shifts) for shifts in found]


class ShiftBench:
    """Compares runs of a switchable network with its float run, one image at a time."""

    def __init__(self, model: onnx.ModelProto, network: SwitchableNetwork) -> None:
        from edge_sdk.converters.model_file import head_spec_of

        self.spec = head_spec_of(model)
        self.network = network
        self._predictions = prediction_tensors(network)
        self._names = tuple(dict.fromkeys((*network.output_names, *self._predictions)))
        self._reference: Mapping[str, npt.NDArray[np.float32]] = {}
        self._objects: Image | None = None

    def start(self, image: Image, objects: Image | None = None) -> Trace:
        """Run an image in float, which what follows is compared with; return all its tensors.

        Parameters
        ----------
        image : float32 [1, 3, H, W].
        objects : its labelled objects, if they are known (see `shift.image_shift`).

        Raises
        ------
        EdgeError
            If a tensor holds NaN or infinite values.
        """
        import torch

        with torch.inference_mode():
            trace = self.network.trace(torch.from_numpy(image), frozenset())
        self._reference = _arrays({name: trace.tensors[name] for name in self._names})
        self._objects = objects
        if not all(np.isfinite(values).all() for values in self._reference.values()):
            first = next(name for name, x in trace.tensors.items() if not x.isfinite().all())
            raise EdgeError(
                f"The tensor {first!r} of the float model holds NaN or infinite values on one of "
                "the images: the model is not sound there, check it before quantizing it."
            )
        return trace

    def base(self, image: Image, layers: frozenset[str]) -> Trace:
        """Run an image with layers in INT8, keeping all its tensors."""
        import torch

        with torch.inference_mode():
            return self.network.trace(torch.from_numpy(image), layers)

    def shift(self, base: Trace, wiring: Wiring) -> Shift:
        """Compare the image in another wiring of the network; `base` is any run of it."""
        import torch

        with torch.inference_mode():
            tested = _arrays(self.network.rerun(base, wiring, self._names))
        outputs = self.network.output_names
        return image_shift(
            self.spec,
            [self._reference[name] for name in outputs],
            [tested[name] for name in outputs],
            [(self._reference[name], tested[name]) for name in self._predictions],
            self._objects,
        )


def prediction_tensors(network: SwitchableNetwork) -> tuple[str, ...]:
    """Return the outputs of the last weighted layers before the network's outputs."""
    makers = {name: step for step in network.steps for name in step.node.output}
    found: dict[str, None] = {}
    seen: set[str] = set()
    names = list(network.output_names)
    while names:
        name = names.pop(0)
        if name in seen or name not in makers:
            continue
        seen.add(name)
        if makers[name].is_layer:
            found[name] = None
        else:
            names.extend(makers[name].inputs)
    return tuple(found)


def _chosen(images: Sequence[Image], limit: int, seed: int) -> dict[str, Image]:
    """Return `limit` different images by their digest, drawn with a seed."""
    different = {_digest(image): image for image in images}
    if not different or limit < 1:
        raise EdgeError("The sensitivity analysis needs at least one image.")
    digests = random.Random(seed).sample(sorted(different), min(limit, len(different)))
    return {digest: different[digest] for digest in digests}


def _digest(image: Image) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()


def _row(
    bench: ShiftBench,
    groups: Mapping[str, frozenset[str]],
    image: Image,
    objects: Image | None,
) -> Rows:
    """Measure all that there is to measure on one image; all tensors of one run are in memory."""
    yield from _alone(bench, groups, image, objects)
    yield from _without(bench, groups, image)


def _alone(
    bench: ShiftBench,
    groups: Mapping[str, frozenset[str]],
    image: Image,
    objects: Image | None,
) -> Rows:
    base = bench.start(image, objects)
    for name, layers in groups.items():
        yield f"+{name}", bench.shift(base, bench.network.wiring(layers))


def _without(bench: ShiftBench, groups: Mapping[str, frozenset[str]], image: Image) -> Rows:
    everything = frozenset[str]().union(*groups.values())
    base = bench.base(image, everything)
    yield "all", bench.shift(base, bench.network.wiring(everything))
    for name, layers in groups.items():
        yield f"-{name}", bench.shift(base, bench.network.wiring(everything - layers))


def _row_names(groups: Iterable[str]) -> list[str]:
    names = list(groups)
    return [*(f"+{name}" for name in names), "all", *(f"-{name}" for name in names)]


def _known(path: Path, key: Mapping[str, Any]) -> Mapping[str, Row]:
    """Return the rows of an earlier run of the same measurement."""
    try:
        earlier = Sensitivity.load(path)
    except EdgeError:
        return {}
    return earlier.rows if earlier.key == key else {}


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, npt.NDArray[np.float32]]:
    return {name: value[0].numpy() for name, value in tensors.items()}
