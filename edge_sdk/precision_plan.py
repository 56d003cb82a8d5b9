"""The precision plan: which layer groups of a model run in INT8 and which stay float.

`plan.yaml` is for people: it lists each group with its layers, its share of the work, its
precision and the reason, and whoever edits a precision there decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from edge_sdk.errors import EdgeError
from edge_sdk.files import write_text

Precision = Literal["int8", "float"]
PRECISIONS: tuple[str, ...] = get_args(Precision)
RANGES = ("mse", "max", "percentile", "entropy")
"""Range methods (see `edge_sdk.calibration.ranges`)."""

_HEADER = """\
# Which layer groups run in INT8. Edit a precision ({precisions}) and build again.
# A group's layers read the same tensor and therefore share a precision; `ranges` tells how the
# range of that tensor is found ({ranges}).
"""


@dataclass(frozen=True)
class PlanGroup:
    """Layers that share a precision.

    Attributes
    ----------
    name : of the group, that of its first layer.
    layers : node names in the float ONNX.
    precision : "int8" or "float".
    why : the reason, for people.
    macs : multiply-accumulates of the group on one image, 0 where unknown.
    ranges : how the range of the tensor that it reads is found, "" as the plan says.
    """

    name: str
    layers: tuple[str, ...]
    precision: Precision
    why: str = ""
    macs: int = 0
    ranges: str = ""


@dataclass(frozen=True)
class PrecisionPlan:
    """One precision for every weighted layer of a model, for one target.

    Attributes
    ----------
    model_key : of the float model it was made for.
    target : the engine it was made for, e.g. "openvino".
    groups : in the order of the graph.
    ranges : how the ranges of the INT8 tensors are found ("mse", "max", ...).
    about : how the plan came about, for people.
    """

    model_key: str
    target: str
    groups: tuple[PlanGroup, ...] = field(default=())
    ranges: str = "mse"
    about: str = ""

    @property
    def int8_groups(self) -> frozenset[str]:
        """Names of the groups that run in INT8."""
        return frozenset(group.name for group in self.groups if group.precision == "int8")

    @property
    def int8_layers(self) -> frozenset[str]:
        """Names of the layers that run in INT8."""
        return frozenset(
            layer for group in self.groups if group.precision == "int8" for layer in group.layers
        )

    def share(self) -> float:
        """Return the part of the multiply-accumulates that runs in INT8, 0..1."""
        total = sum(group.macs for group in self.groups)
        int8 = sum(group.macs for group in self.groups if group.precision == "int8")
        return int8 / total if total else 0.0

    def range_methods(self) -> dict[str, str]:
        """Return group -> range method, where it is another than the plan's."""
        methods = {group.name: group.ranges or self.ranges for group in self.groups}
        return {name: method for name, method in methods.items() if method != self.ranges}

    def reasons(self) -> dict[str, int]:
        """Return why groups are float -> how many layers that are."""
        counts: dict[str, int] = {}
        for group in self.groups:
            if group.precision == "float" and group.why:
                counts[group.why] = counts.get(group.why, 0) + len(group.layers)
        return counts

    def check(self, model_key: str, target: str, groups: Iterable[PlanGroup]) -> None:
        """Refuse the plan if it does not fit a model and a target.

        Parameters
        ----------
        model_key : of the model about to be lowered.
        target : that it is about to be lowered for.
        groups : the layer groups of that model.

        Raises
        ------
        EdgeError
            If the plan is for another model or target, or a group or layer is unknown, missing or
            in the wrong group.
        """
        if self.model_key != model_key:
            raise EdgeError(
                f"The plan was made for another model (its key starts with "
                f"{self.model_key[:12]!r}, this model's with {model_key[:12]!r}): make a plan "
                "for this one with `edge-sdk plan`."
            )
        if self.target != target:
            raise EdgeError(
                f"The plan was made for the target {self.target!r}, not for {target!r}: make one "
                "for it with `edge-sdk plan`."
            )
        known = {group.name: set(group.layers) for group in groups}
        planned = {group.name: set(group.layers) for group in self.groups}
        _refuse("names a group that the model does not have", set(planned) - set(known))
        _refuse("lacks a group of the model", set(known) - set(planned))
        for name, layers in planned.items():
            where = f"in the group {name!r}"
            _refuse(f"names a layer that the model does not have {where}", layers - known[name])
            _refuse(f"lacks a layer of the model {where}", known[name] - layers)

    def save(self, path: Path | str) -> None:
        """Write the plan as YAML (`plan.yaml`)."""
        write_text(path, self.to_yaml())

    def to_yaml(self) -> str:
        """Return the plan as YAML text."""
        import yaml

        values = {
            "model_key": self.model_key,
            "target": self.target,
            "about": self.about,
            "ranges": self.ranges,
            "groups": [
                {
                    "name": group.name,
                    "precision": group.precision,
                    "ranges": group.ranges or self.ranges,
                    "why": group.why,
                    "macs": group.macs,
                    "layers": list(group.layers),
                }
                for group in self.groups
            ],
        }
        text = yaml.safe_dump(values, sort_keys=False, width=100, allow_unicode=True)
        return _HEADER.format(precisions=" or ".join(PRECISIONS), ranges=", ".join(RANGES)) + text

    @classmethod
    def load(cls, path: Path | str) -> PrecisionPlan:
        """Read a plan, edited or not.

        Raises
        ------
        EdgeError
            If the file cannot be read, is not YAML, or an entry is missing, of the wrong
            kind, unknown or given twice; the entry is named.
        """
        import yaml

        try:
            values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise EdgeError(f"Cannot read the plan {path}: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise EdgeError(f"{path} is not a plan: make one with `edge-sdk plan`.") from error
        except yaml.YAMLError as error:
            problem = " ".join(str(error).split())
            raise EdgeError(f"The plan {path} is not YAML: {problem}.") from error
        try:
            return cls._from_dict(values)
        except EdgeError as error:
            raise EdgeError(f"The plan {path} {error}") from error

    @classmethod
    def _from_dict(cls, values: Any) -> PrecisionPlan:
        needed = {"model_key": str, "target": str, "groups": list}
        _fields(values, needed, {"ranges", "about"}, "the plan")
        groups = tuple(_group(number, entry) for number, entry in enumerate(values["groups"], 1))
        _once((group.name for group in groups), "the group")
        _once((layer for group in groups for layer in group.layers), "the layer")
        ranges = _ranges(values, "the plan") or "mse"
        groups = tuple(
            replace(group, ranges="" if group.ranges == ranges else group.ranges)
            for group in groups
        )
        about = str(values.get("about") or "")
        return cls(values["model_key"], values["target"], groups, ranges, about)


def _group(number: int, entry: Any) -> PlanGroup:
    where = f"group {number}"
    if isinstance(entry, dict) and "name" in entry:
        where = f"the group {entry['name']!r}"
    needed = {"name": str, "precision": str, "layers": list}
    _fields(entry, needed, {"why", "macs", "ranges"}, where)
    if entry["precision"] not in PRECISIONS:
        raise EdgeError(
            f"gives {where} the precision {entry['precision']!r}: write {' or '.join(PRECISIONS)}."
        )
    if not all(isinstance(layer, str) for layer in entry["layers"]):
        raise EdgeError(f"has a layer in {where} that is not a name.")
    macs = entry.get("macs", 0)
    return PlanGroup(
        entry["name"],
        tuple(entry["layers"]),
        entry["precision"],
        str(entry.get("why") or ""),
        macs if isinstance(macs, int) else 0,
        _ranges(entry, where),
    )


def _ranges(entry: Mapping[str, Any], where: str) -> str:
    method = entry.get("ranges") or ""
    if method and method not in RANGES:
        raise EdgeError(f"gives {where} the ranges {method!r}: write one of {', '.join(RANGES)}.")
    return str(method)


def _fields(values: Any, needed: Mapping[str, type], optional: set[str], where: str) -> None:
    if not isinstance(values, dict):
        raise EdgeError(f"is malformed: {where} must be a mapping.")
    unknown = sorted(map(str, set(values) - set(needed) - optional))
    if unknown:
        raise EdgeError(f"has an unknown entry {unknown[0]!r} in {where}.")
    for name, kind in needed.items():
        if not isinstance(values.get(name), kind):
            what = "a list" if kind is list else "text"
            raise EdgeError(f"needs {what} as {name!r} in {where}.")


def _once(names: Iterable[str], what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise EdgeError(f"has {what} {name!r} twice.")
        seen.add(name)


def _refuse(what: str, names: set[str]) -> None:
    if names:
        shown = ", ".join(repr(name) for name in sorted(names)[:3])
        raise EdgeError(
            f"The plan {what}: {shown}{' ...' if len(names) > 3 else ''}. Make it anew with "
            "`edge-sdk plan`, or mend the entry."
        )
