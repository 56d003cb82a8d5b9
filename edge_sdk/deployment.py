"""From a float model to a bundle: the plan, the build, and all steps in one go."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import edge_sdk
from edge_sdk.budget import Budget
from edge_sdk.bundle import check_bundle_output, write_bundle
from edge_sdk.engine_trial import WORTHWHILE, EngineTrial
from edge_sdk.errors import EdgeError, NoInt8Kernel
from edge_sdk.files import make_folder, scratch_folder, sha256, write_text
from edge_sdk.head_spec import HeadSpec
from edge_sdk.hybrid_plan import HybridPlan
from edge_sdk.outputs import check_output
from edge_sdk.precision_plan import RANGES, PlanGroup, PrecisionPlan
from edge_sdk.progress import Progress, silent
from edge_sdk.quantization_table import QuantizationTable
from edge_sdk.suppression import RUNNING

if TYPE_CHECKING:
    import onnx

    from edge_sdk.calibration import Calibration


@dataclass(frozen=True)
class Build:
    """What `build` did.

    Attributes
    ----------
    bundle : the bundle written.
    plan : what was shipped, with its target.
    speedup : how many times as fast as float INT8 is, timed in turn; None if nothing is INT8.
    refused : whether INT8 was planned and float is shipped, since INT8 is not faster here.
    search : the search that the plan came from, None if it came from none.
    left_out : images that `deploy` could not calibrate on, one sentence each.
    """

    bundle: Path
    plan: PrecisionPlan
    speedup: float | None
    refused: bool
    search: HybridPlan | None = None
    left_out: tuple[str, ...] = ()


def plan(
    model: Path | str,
    calibration: Path | str,
    target: str,
    output: Path | str,
    *,
    budget: Budget | None = None,
    images: Path | str | None = None,
    latency: Path | str | None = None,
    keep_float: Sequence[str] = (),
    method: str | None = None,
    threads: int | None = None,
    progress: Progress = silent,
) -> PrecisionPlan:
    """Write a plan: with a budget the best hybrid within it, without one all INT8.

    On GPUs depthwise layers stay float without a search; see `lowering.tensorrt`.

    The search (see `plan_search.search_plan`, which also returns what it found) takes minutes;
    the plan without one is written at once.

    Parameters
    ----------
    model : a float ONNX file of `convert`.
    calibration : of this model, a file of `calibrate`.
    target : "openvino" or "onnxruntime".
    output : the plan to write (`plan.yaml`).
    budget : what a hybrid may cost; None asks for no search.
    images, latency, threads : for the search; see `plan_search.search_plan`.
    keep_float : patterns (`fnmatch`) of layer names that stay float, with their groups.
    method : how ranges are found: "mse" (the default without a search), "max", "percentile",
        "entropy"; a search also knows "auto" (its default), which chooses for each group.
    progress : told of the search's steps.

    Raises
    ------
    EdgeError
        If a file cannot be used, the calibration is of another model, the target is unknown,
        or a pattern fits no layer.
    """
    if budget is not None:
        from edge_sdk.plan_search import AUTO, search_plan

        return search_plan(
            model, calibration, target, output, budget, images=images, latency=latency,
            keep_float=keep_float, method=method or AUTO, threads=threads, progress=progress,
        ).plan  # fmt: skip
    from edge_sdk.converters.layer_groups import layer_groups
    from edge_sdk.converters.lowering import float_by_default, lowering
    from edge_sdk.converters.model_file import load_model, model_key

    lowering(target)
    check_output(output, model, calibration)
    graph = load_model(model)
    _calibration(calibration, model, graph)
    groups = _excepted(layer_groups(graph, keep_float), float_by_default(target, graph))
    made = PrecisionPlan(model_key(graph), target, groups, _known_method(method))
    made.save(output)
    return made


def build(
    model: Path | str,
    calibration: Path | str | None,
    plan: Path | str,
    target: str,
    output: Path | str,
    *,
    table: Path | str | None = None,
    method: str | None = None,
    seven_bit_weights: bool | None = None,
    keep_int8: bool = False,
    nms: bool = False,
    show: Path | str | None = None,
    progress: Progress = silent,
) -> Build:
    """Lower a float model for a target, build its engine and write the bundle.

    The INT8 engine is timed against the float one. If it is not at least 1.02 times as fast,
    the bundle gets the float engine.

    Parameters
    ----------
    model : a float ONNX file of `convert`.
    calibration : of this model, a file of `calibrate`; beside a table for the report alone, and
        then None will do.
    plan : of this model and target, a file of `plan`.
    target : "openvino" or "onnxruntime".
    output : the bundle to write, NAME.edge or NAME.edge.zip.
    table : of this model, a quantization table in place of the calibration's: its scales are taken
        as they are, such as those of `edge-sdk refine` or `edge-sdk qat`.
    method : how ranges are found, if not as the plan says.
    seven_bit_weights : weights from -63 to 63, for CPUs without VNNI; None looks at this
        machine's CPU.
    keep_int8 : ship INT8 whatever the timing says.
    nms : put a second graph into the bundle that ends with suppression, for programs that run
        TensorRT without our runtime (see `suppression_in_graph`); for "tensorrt" and
        "tensorrt:remote".
    show : images whose pictures the report and the selftest may hold; None takes frames of
        the test camera.
    progress : told of the steps.

    Raises
    ------
    EdgeError
        If a file cannot be used, belongs to another model or target, or an engine cannot be
        built.
    """
    from edge_sdk.bundle_report import bundle_report
    from edge_sdk.bundle_selftest import selftest_files
    from edge_sdk.converters.lowering import channel_ranges, grid
    from edge_sdk.converters.lowering.instruction_set import needs_seven_bit_weights

    activations = grid(target)
    if nms:
        _check_nms(target)
    check_bundle_output(output, model, calibration, plan, table, show)
    inputs = _Inputs.read(model, calibration, table, plan, target)
    if seven_bit_weights is None:
        seven_bit_weights = needs_seven_bit_weights(target)
    search = HybridPlan.of(plan, inputs.plan)
    progress(0, 3, "building")
    scales, method = inputs.scales(method)
    with scratch_folder() as scratch:
        trial = EngineTrial(target, scratch)
        planned = _build_engines(trial, inputs, scales, seven_bit_weights, nms, progress)
        progress(2, 3, "building")
        refused = trial.speedup is not None and trial.speedup < WORTHWHILE and not keep_int8
        shipped = _all_float(planned, trial.speedup) if refused else planned
        engine: dict[str, Any] = {"precision": "float"}
        if shipped.int8_layers:
            bits = 7 if seven_bit_weights else 8
            engine = {
                "precision": "int8",
                "activations": activations,
                "channel_ranges": channel_ranges(target, inputs.graph, scales, shipped.int8_layers),
                "weight_bits": bits,
            }
        engine["file"] = trial.name(trial.engines[engine["precision"]])
        manifest = {
            "head_spec": inputs.spec.to_dict(),
            "suppression": RUNNING,
            "model_key": shipped.model_key,
            "engines": {target: engine},
            "precision": {**_summary(shipped, method), "refined": scales.refinements},
            "provenance": inputs.provenance(),
            "measured": {**trial.measured(), **_searched(search)},
        }
        built = trial.engines[engine["precision"]]
        contents = {
            "model.onnx": Path(model),
            "quant.json": scales.to_json(),
            "plan.yaml": shipped.to_yaml(),
            "report.html": bundle_report(
                inputs.spec,
                inputs.calibration,
                scales,
                shipped,
                trial,
                search,
                show,
                channels=engine.get("channel_ranges", 0),
            ),
            **inputs.proof(),
            **trial.files(engine["precision"]),
            **selftest_files(model, built, target, inputs.spec, show),
        }
        write_bundle(output, contents, manifest)
    progress(3, 3, "building")
    return Build(Path(output), shipped, trial.speedup, refused, search)


def deploy(
    source: Path | str,
    images: Path | str,
    target: str,
    output: Path | str,
    *,
    head: str | None = None,
    names: Sequence[str] | None = None,
    input_size: tuple[int, int] | None = None,
    limit: int = 256,
    method: str | None = None,
    budget: Budget | None = None,
    latency: Path | str | None = None,
    keep_float: Sequence[str] = (),
    seven_bit_weights: bool | None = None,
    keep_int8: bool = False,
    nms: bool = False,
    show: Path | str | None = None,
    progress: Progress = silent,
) -> Build:
    """Convert, calibrate, plan and build in one go.

    The files between the steps are kept in the folder NAME.work beside the output, and used
    again as far as they fit: the float model if the source and the arguments of the conversion
    are the same, the calibration if the model and the images are (an interrupted one goes on).

    Parameters
    ----------
    source : a checkpoint or an ONNX file.
    images : a folder of representative images, a glob, or `test://street?...`.
    target, output, method, budget, latency, keep_float, seven_bit_weights, keep_int8, nms, show :
        see `plan`, `build`. Without a budget everything runs in INT8.
    head, names, input_size : see `convert`.
    limit : use at most so many images.
    progress : told of all steps.

    Raises
    ------
    EdgeError
        If a step fails; what the steps before it made is kept.
    """
    from edge_sdk.calibration import calibrate
    from edge_sdk.converters.lowering import lowering
    from edge_sdk.converters.model_file import head_spec_of, load_model
    from edge_sdk.plan_search import check_search, labelled_images

    lowering(target)
    if nms:
        _check_nms(target)
    if budget is not None:
        check_search(target, latency)
    if not Path(source).is_file():
        raise EdgeError(f"There is no model at {source}.")
    labels = None if budget is None else budget.labels
    check_bundle_output(output, source, images, latency, labels, show)
    work = work_folder(output)
    make_folder(work)
    model, calibration = work / "model.onnx", work / "model.calib"
    _convert(Path(source), model, head, names, input_size, progress)
    if budget is not None:
        labelled_images(budget, head_spec_of(load_model(model)))  # others are told at once
    left_out = calibrate(model, images, calibration, limit=limit, progress=progress).skipped
    plan(
        model, calibration, target, work / "plan.yaml", budget=budget, latency=latency,
        keep_float=keep_float, method=method, progress=progress,
    )  # fmt: skip
    done = build(
        model,
        calibration,
        work / "plan.yaml",
        target,
        output,
        seven_bit_weights=seven_bit_weights,
        keep_int8=keep_int8,
        nms=nms,
        show=show,
        progress=progress,
    )
    return replace(done, left_out=left_out)


def work_folder(output: Path | str) -> Path:
    """Return the folder where `deploy` keeps the files between its steps."""
    output = Path(output)
    return output.with_name(output.name.removesuffix(".zip").removesuffix(".edge") + ".work")


@dataclass(frozen=True)
class _Inputs:
    """What a build is made of, read and found to belong together."""

    graph: onnx.ModelProto
    spec: HeadSpec
    calibration: Calibration | None
    table: QuantizationTable | None
    plan: PrecisionPlan

    @classmethod
    def read(
        cls,
        model: Path | str,
        calibration: Path | str | None,
        table: Path | str | None,
        plan: Path | str,
        target: str,
    ) -> _Inputs:
        from edge_sdk.converters.layer_groups import layer_groups
        from edge_sdk.converters.model_file import head_spec_of, load_model, model_key

        if calibration is None and table is None:
            raise EdgeError("Give a calibration or a quantization table.")
        graph = load_model(model)
        spec = head_spec_of(graph)
        counts = None if calibration is None else _calibration(calibration, model, graph)
        given = None if table is None else _table(table, model, graph)
        precision = PrecisionPlan.load(plan)
        precision.check(model_key(graph), target, layer_groups(graph))
        return cls(graph, spec, counts, given, precision)

    def scales(self, method: str | None) -> tuple[QuantizationTable, str]:
        """Return the scales and how they were found: as asked, else as the plan says."""
        if self.table is not None:
            if method is not None:
                raise EdgeError("A quantization table has its ranges: leave the range method out.")
            methods = {point.method for point in self.table.activations.values()}
            return self.table, " and ".join(sorted(methods))
        from edge_sdk.plan_ranges import planned_table

        assert self.calibration is not None
        exceptions = {} if method else self.plan.range_methods()
        method = method or self.plan.ranges
        table = planned_table(
            self.calibration, self.graph, self.plan.groups, self.plan.target, method, exceptions
        )
        return table, " and ".join(sorted({method, *exceptions.values()}))

    def provenance(self) -> dict[str, Any]:
        from edge_sdk.converters.convert import SOURCE_KEY
        from edge_sdk.converters.model_file import metadata
        from edge_sdk.evaluation.conditions import version_of

        source = metadata(self.graph).get(SOURCE_KEY)
        tools = ("onnx", "onnxruntime", "openvino")
        return {
            "source": json.loads(source) if source else None,
            **self._calibrated(),
            "tools": {"edge-sdk": edge_sdk.__version__, **{t: version_of(t) for t in tools}},
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }

    def _calibrated(self) -> dict[str, Any]:
        if self.calibration is None:
            return {}
        images = len(self.calibration.images)
        return {"calibration_key": self.calibration.key, "calibration_images": images}

    def proof(self) -> dict[str, str]:
        """Return the proof of the conversion as a file of the bundle, if the model has one."""
        from edge_sdk.converters.model_file import metadata
        from edge_sdk.converters.proof import METADATA_KEY

        proof = metadata(self.graph).get(METADATA_KEY)
        return {"proof.json": proof} if proof else {}


def _build_engines(
    trial: EngineTrial,
    inputs: _Inputs,
    table: QuantizationTable,
    seven_bit_weights: bool,
    nms: bool,
    progress: Progress,
) -> PrecisionPlan:
    """Build what may be shipped, time it where it runs here, and return the plan carried out.

    Engines for GPUs are not timed, so of them only the one that is planned is built. Where the
    library turns out to have no integer kernel for some layers, they stay float.
    """
    from edge_sdk.converters.engines.tensorrt_files import write_nms, write_other_form
    from edge_sdk.converters.lowering import lowering
    from edge_sdk.converters.target import REMOTE, Target

    lower, plan = lowering(trial.target), inputs.plan
    target = Target.parse(trial.target)
    timed = target.on_cpu
    if timed:
        trial.add("float", inputs.graph)
    while plan.int8_layers:
        lowered = lower(inputs.graph, table, plan.int8_layers, seven_bit_weights=seven_bit_weights)
        try:
            trial.add("int8", lowered)
            break
        except NoInt8Kernel as refusal:
            plan = _without(plan, refusal)
    progress(1, 3, "building")
    if timed and plan.int8_layers:
        trial.time(inputs.spec)
    elif not timed and not plan.int8_layers:
        lowered = lower(inputs.graph, table, frozenset())
        trial.add("float", lowered)
    elif target.variant == REMOTE:
        other = lower(inputs.graph, table, plan.int8_layers, skip="both")
        write_other_form(other, trial.engines["int8"].parent)
    if nms:
        (made,) = trial.engines.values()
        write_nms(lowered, made.parent, len(inputs.spec.class_names))
    return plan


def _check_nms(target: str) -> None:
    """Refuse suppression in the graph where nothing would run it."""
    from edge_sdk.converters.target import Target

    parsed = Target.parse(target)
    if parsed.on_cpu:
        raise EdgeError(
            f"Suppression in the graph is for TensorRT without our runtime, not for {target}, "
            "where our runtime sifts the boxes: leave --nms out."
        )
    if parsed.library != "tensorrt":
        raise EdgeError(
            "TensorRT-RTX has no kernel for suppression in the graph (NonMaxSuppression): leave "
            "--nms out, or build for tensorrt or tensorrt:remote."
        )


def _excepted(groups: Sequence[PlanGroup], reasons: dict[str, str]) -> tuple[PlanGroup, ...]:
    """Return the groups, those float that hold a layer for which there is a reason."""
    found = [[reasons[layer] for layer in group.layers if layer in reasons] for group in groups]
    return tuple(
        replace(group, precision="float", why=why[0])
        if why and group.precision == "int8"
        else group
        for group, why in zip(groups, found, strict=True)
    )


def _without(plan: PrecisionPlan, refusal: NoInt8Kernel) -> PrecisionPlan:
    """Return the plan with the groups float that hold a refused layer."""
    groups = tuple(
        replace(group, precision="float", why=f"no INT8 kernel: {refusal.reason}")
        if refusal.layers & set(group.layers)
        else group
        for group in plan.groups
    )
    return replace(plan, groups=groups)


def _known_method(method: str | None) -> str:
    if method not in (None, *RANGES):
        raise EdgeError(
            f"There is no range method {method!r}: use one of {', '.join(RANGES)}"
            f"{'; auto needs a budget to search by' if method == 'auto' else ''}."
        )
    return method or RANGES[0]


def _calibration(path: Path | str, model: Path | str, graph: onnx.ModelProto) -> Calibration:
    from edge_sdk.calibration import Calibration
    from edge_sdk.converters.model_file import model_key

    calibration = Calibration.load(path)
    if calibration.model_key != model_key(graph):
        raise EdgeError(
            f"The calibration {path} belongs to another model than {model}: run "
            "`edge-sdk calibrate` on this one."
        )
    return calibration


def _table(path: Path | str, model: Path | str, graph: onnx.ModelProto) -> QuantizationTable:
    from edge_sdk.converters.model_file import model_key

    table = QuantizationTable.load(path)
    if table.model_key != model_key(graph):
        raise EdgeError(f"The quantization table {path} belongs to another model than {model}.")
    return table


def _convert(
    source: Path,
    output: Path,
    head: str | None,
    names: Sequence[str] | None,
    input_size: tuple[int, int] | None,
    progress: Progress,
) -> None:
    """Convert unless `output` already is what these arguments make of this source."""
    from edge_sdk.converters.convert import convert

    note = output.with_suffix(".json")
    key = json.dumps(
        {
            "source": sha256(source),
            "head": head,
            "names": list(names) if names else None,
            "input_size": input_size,
            "edge-sdk": edge_sdk.__version__,
        }
    )
    if output.is_file() and note.is_file() and note.read_text(encoding="utf-8") == key:
        return
    convert(source, output, head=head, names=names, input_size=input_size, progress=progress)
    write_text(note, key)


def _all_float(plan: PrecisionPlan, speedup: float | None) -> PrecisionPlan:
    why = f"INT8 is no faster: {speedup:.2f}x"
    groups = tuple(replace(group, precision="float", why=why) for group in plan.groups)
    return replace(plan, groups=groups)


def _searched(search: HybridPlan | None) -> dict[str, Any]:
    """Return what the search measured of its plan, for the manifest."""
    if search is None:
        return {}
    chosen = search.chosen
    found = {"budget": search.budget, "met": search.met, "ms": chosen.ms, "shift": chosen.loss}
    points = {"points_lost": chosen.drop, "points_lost_bound": chosen.bound}
    return {"search": {**found, **points}}


def _summary(plan: PrecisionPlan, method: str) -> dict[str, Any]:
    layers = sum(len(group.layers) for group in plan.groups)
    int8 = len(plan.int8_layers)
    return {
        "int8_layers": int8,
        "float_layers": layers - int8,
        "int8_share_of_macs": round(plan.share(), 4),
        "ranges": method,
    }
