"""What a build for TensorRT leaves in a folder.

    lowered.onnx     the typed graph: all that a device needs
    NAME.engine      the engine; the name says for which GPU and library, and depends on the graph
    lint.txt         what the linter found in the network as parsed, and in the engine
    layers.json      the engine's layers, as its inspector tells them; only where a GPU is
    build.log        what the library said, word by word

The folder for a device elsewhere has COMMANDS.txt in place of all but the first, and
lowered-both.onnx, the other form of the bottlenecks' additions (see `lowering.tensorrt`).
Either has lowered-nms.onnx where it was asked for: the same network with suppression at its end,
for programs other than ours; our runtime goes on with the engine of lowered.onnx.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import ModuleType

import onnx

from edge_sdk.converters.engine_linter import lint_engine
from edge_sdk.converters.engines.tensorrt_builder import (
    BuildOptions,
    ParsedNetwork,
    build,
    inspect,
    parse,
)
from edge_sdk.converters.lowering.tensorrt import LAYERS_KEY
from edge_sdk.converters.model_file import metadata
from edge_sdk.converters.parsed_network import view
from edge_sdk.converters.passes.suppression_in_graph import suppression_in_graph
from edge_sdk.converters.plan_linter import Lint, lint
from edge_sdk.errors import EdgeError
from edge_sdk.progress import Progress, silent
from edge_sdk.suppression import RUNNING

GRAPH = "lowered.onnx"
OTHER_GRAPH = "lowered-both.onnx"
NMS_GRAPH = "lowered-nms.onnx"
LAYERS = "layers.json"

_COMMANDS = """\
On the device, with TensorRT 10.3 or newer and the bundle that holds this folder:

    edge-sdk compile BUNDLE.edge --target tensorrt

builds the engine and adds it to the bundle, which our runtime opens. In this folder,
`edge-sdk compile {graph} --target tensorrt` only puts the engine beside the graph;
or without edge-sdk (from TensorRT 11 on, --stronglyTyped says nothing new; JetPack keeps trtexec in
/usr/src/tensorrt/bin):

    trtexec --onnx={graph} --stronglyTyped --saveEngine=detector.engine {shapes}\\
        --profilingVerbosity=detailed --exportLayerInfo=layers.json --exportProfile=profile.json \\
        --separateProfileRun --timingCacheFile=timing.cache

Whether INT8 is faster than float16 there is not known yet: nothing was timed. `edge-sdk lint
{graph} --engine layers.json --profile profile.json` says which layers TensorRT did not run as
planned, and what conversions cost.
"""


_OTHER = """
{other} is the same network, but the additions behind its bottlenecks read integers on both
sides, not on one. Which form is faster depends on the GPU: build both, and keep the one for which
trtexec reports less GPU compute time.
"""


_NMS = """
{nms} is the same network with suppression at its end (score {score}, IoU {iou}), for trtexec,
DeepStream or Triton in place of the runtime of edge-sdk. Compile it alone, with
`edge-sdk compile {nms} --target tensorrt` or with trtexec. Its outputs for each image: num_dets,
how many; det_boxes, x1 y1 x2 y2 in pixels of the network's input; det_scores; det_classes. They
have {most} places, best first; those not used have score 0 and class -1.
"""


def write_files(
    trt: ModuleType,
    lowered: onnx.ModelProto,
    folder: Path,
    device: str,
    capability: str = "",
    options: BuildOptions | None = None,
    progress: Progress = silent,
) -> Path:
    """Build the engine of a lowered graph, write all files, and return the engine.

    Parameters
    ----------
    trt : TensorRT or TensorRT-RTX.
    lowered : of the lowering for TensorRT.
    folder : an existing folder.
    device : what the engine runs on, for its name: "sm75", or the name of the GPU.
    capability : the compute capability to build for; "" builds for this machine's GPU.
    options : how to build.
    progress : see `build`.

    Raises
    ------
    EdgeError
        If the library refuses the graph, the network is not what the plan says, or the build
        fails.
    """
    options = options or BuildOptions()
    graph = lowered.SerializeToString(deterministic=True)
    (folder / GRAPH).write_bytes(graph)
    planned = planned_layers(lowered)
    parsed = parse(trt, graph)
    try:
        found = require(lint(view(trt, parsed.network), planned, capability))
        (folder / "lint.txt").write_text(found.text(), encoding="utf-8")
        plan = build(parsed, options, capability, planned, progress)
        if not capability:  # it was built for the GPU that is here
            _look_inside(parsed, plan, folder, planned)
    finally:
        (folder / "build.log").write_text("\n".join(parsed.log.lines) + "\n", encoding="utf-8")
    engine = folder / engine_name(graph, parsed, device, options)
    engine.write_bytes(plan)
    return engine


def _look_inside(parsed: ParsedNetwork, plan: bytes, folder: Path, planned: frozenset[str]) -> None:
    """Write down the engine's layers and what the linter finds in them."""
    (folder / LAYERS).write_text(inspect(parsed, plan), encoding="utf-8")
    found = lint_engine(folder / LAYERS, planned)
    with (folder / "lint.txt").open("a", encoding="utf-8") as file:
        file.write(f"\nIn the engine: {found.text()}")


def write_remote(lowered: onnx.ModelProto, folder: Path, max_batch: int = 8) -> Path:
    """Write the graph and the commands that build it on a device, and return the graph."""
    onnx.save(lowered, folder / GRAPH)
    text = _COMMANDS.format(graph=GRAPH, shapes=_shapes(lowered, max_batch))
    (folder / "COMMANDS.txt").write_text(text, encoding="utf-8")
    return folder / GRAPH


def write_other_form(lowered: onnx.ModelProto, folder: Path) -> None:
    """Put the other form of a graph beside it, and say what it is for."""
    onnx.save(lowered, folder / OTHER_GRAPH)
    with (folder / "COMMANDS.txt").open("a", encoding="utf-8") as file:
        file.write(_OTHER.format(graph=GRAPH, other=OTHER_GRAPH))


def write_nms(lowered: onnx.ModelProto, folder: Path, classes: int) -> None:
    """Put the graph that ends with suppression beside a graph, and say what it is for."""
    settings = {"score": RUNNING["score"], "iou": RUNNING["iou"], "most": RUNNING["max_detections"]}
    onnx.save(suppression_in_graph(lowered, classes, **settings), folder / NMS_GRAPH)
    with (folder / "COMMANDS.txt").open("a", encoding="utf-8") as file:
        file.write(_NMS.format(nms=NMS_GRAPH, **settings))


def planned_layers(lowered: onnx.ModelProto) -> frozenset[str]:
    """Return the layers that a lowered graph is to run in INT8.

    Raises
    ------
    EdgeError
        If the graph does not say.
    """
    text = metadata(lowered).get(LAYERS_KEY)
    if text is None:
        raise EdgeError(
            "The graph does not say which of its layers are to run in INT8: take the lowered.onnx "
            "of a bundle that was built for TensorRT."
        )
    return frozenset(json.loads(text))


def require(found: Lint) -> Lint:
    """Return what the linter found.

    Raises
    ------
    EdgeError
        If there is a fault.
    """
    excess = found.excess()
    if excess:
        first = next(finding for finding in found.findings if finding.rule in excess)
        raise EdgeError(
            f"The network is not what the plan says: {first.layer}: {first.text} "
            f"({first.rule}; {sum(found.counts()[rule] for rule in excess)} faults in all)."
        )
    return found


def engine_name(graph: bytes, parsed: ParsedNetwork, device: str, options: BuildOptions) -> str:
    """Return a file name that is the same for the same graph, device, library and options."""
    trt = parsed.trt
    library = f"{trt.__name__.replace('_', '-')}-{trt.__version__}"
    digest = hashlib.sha256(graph + repr((device, library, options)).encode()).hexdigest()
    return f"{device}_{library}_{digest[:12]}.engine"


def _shapes(lowered: onnx.ModelProto, max_batch: int) -> str:
    """Return trtexec's arguments for an open batch size."""
    image = lowered.graph.input[0]
    dims = image.type.tensor_type.shape.dim
    if dims[0].HasField("dim_value"):
        return ""
    rest = "x".join(str(dim.dim_value) for dim in dims[1:])
    ranges = {"min": 1, "opt": 1, "max": max_batch}
    return "".join(f"--{end}Shapes={image.name}:{n}x{rest} " for end, n in ranges.items())
