"""Building an engine from the lowered graph of a bundle, on the machine that runs it."""

from __future__ import annotations

import importlib
import shutil
import tempfile
from pathlib import Path

import onnx

from edge_sdk.bundle import Bundle, write_bundle
from edge_sdk.converters.engines.tensorrt_builder import BuildOptions
from edge_sdk.converters.engines.tensorrt_files import GRAPH
from edge_sdk.converters.model_file import load_model
from edge_sdk.converters.target import REMOTE, Target
from edge_sdk.errors import EdgeError
from edge_sdk.outputs import check_output
from edge_sdk.progress import Progress, silent


def compile_graph(
    source: Path | str,
    target: str,
    options: BuildOptions | None = None,
    progress: Progress = silent,
) -> Path:
    """Build an engine and put it beside its graph, or into the bundle that holds the graph.

    Parameters
    ----------
    source : a lowered.onnx, or a bundle that was built for a TensorRT target.
    target : "tensorrt" or "tensorrt-rtx:smNN".
    options : how to build.
    progress : told of the builder's steps; what it raises cancels the build.

    Returns
    -------
    The engine, or the bundle.

    Raises
    ------
    EdgeError
        If the target is no such target, the source holds no lowered graph, or the build fails;
        or if an engine is to go into a bundle that our runtime would not open.
    """
    parsed = Target.parse(target)
    if parsed.on_cpu or parsed.variant == REMOTE:
        raise EdgeError(
            f"An engine for {target} is not compiled: take tensorrt or tensorrt-rtx:smNN."
        )
    source = Path(source)
    if options is not None and options.timing_cache is not None:
        check_output(options.timing_cache, source)
    if options is not None and options.version_compatible and source.suffix != ".onnx":
        raise EdgeError(
            "A version-compatible engine carries code of TensorRT, which the runtime that opens "
            "bundles does not let run: leave --version-compatible out, or compile the bundle's "
            f"{GRAPH} alone, for other programs."
        )
    with tempfile.TemporaryDirectory() as scratch:
        if source.suffix == ".onnx":
            engine = _write(parsed, load_model(source), Path(scratch), options, progress)
            made = [path for path in Path(scratch).iterdir() if path.name != GRAPH]
            for path in made:
                shutil.move(path, source.parent / path.name)
            return source.parent / engine.name
        with Bundle.open(source) as bundle:
            graph, entry = _lowered(bundle)
            engine = _write(parsed, graph, Path(scratch), options, progress)
            _add(bundle, parsed, engine, entry)
    return source


def _write(
    target: Target,
    graph: onnx.ModelProto,
    folder: Path,
    options: BuildOptions | None,
    progress: Progress,
) -> Path:
    module = importlib.import_module(f"edge_sdk.converters.engines.{target.builder}")
    engine: Path = module.write_engine(graph, folder, target.variant, options, progress)
    return engine


def _lowered(bundle: Bundle) -> tuple[onnx.ModelProto, dict[str, object]]:
    """Return the graph for TensorRT of a bundle, and what the manifest says of its engine."""
    for name, entry in bundle.manifest["engines"].items():
        file = f"engines/{Target.parse(name).folder}/{GRAPH}"
        if Target.parse(name).lowering == "tensorrt" and file in bundle.manifest["files"]:
            return load_model(bundle.file(file)), entry
    raise EdgeError(
        f"{bundle.path} holds no graph for TensorRT: build it with --target tensorrt:remote."
    )


def _add(bundle: Bundle, target: Target, engine: Path, entry: dict[str, object]) -> None:
    """Write the bundle anew, with one engine more."""
    folder = f"engines/{target.folder}"
    manifest = {key: value for key, value in bundle.manifest.items() if key != "files"}
    manifest["engines"] = {
        **manifest["engines"], target.name: {**entry, "file": f"{folder}/{engine.name}"},
    }  # fmt: skip
    files: dict[str, Path | bytes | str] = {
        name: bundle.file(name)
        for name in bundle.manifest["files"]
        if not name.startswith(f"{folder}/")
    }
    files.update({f"{folder}/{path.name}": path for path in engine.parent.iterdir()})
    write_bundle(bundle.path, files, manifest)
