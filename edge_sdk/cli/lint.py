"""edge-sdk lint: is the graph for TensorRT what the plan says, and what will cost time?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_sdk.cli.console import print_json, print_text
from edge_sdk.errors import EdgeError

if TYPE_CHECKING:
    from edge_sdk.converters.plan_linter import Lint


def lint(
    graph: Annotated[Path, typer.Argument(help="The lowered.onnx of a bundle for TensorRT.")],
    target: Annotated[
        str, typer.Option(help="Whose parser reads it: tensorrt, or tensorrt-rtx:smNN.")
    ] = "tensorrt-rtx:sm75",
    engine: Annotated[
        Path | None,
        typer.Option(help="Look at a built engine instead: the JSON of trtexec --exportLayerInfo."),
    ] = None,
    profile: Annotated[
        Path | None,
        typer.Option(help="With --engine: the JSON of trtexec --exportProfile, for the times."),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(help="RULE=N: how often a rule may be broken; repeatable."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say what is not as planned; exit with status 1 if there is more of it than allowed."""
    limits = parse_limits(allow or ())
    if graph.is_dir() or graph.suffix == ".zip":
        raise EdgeError(f"{graph} is a bundle: take the lowered.onnx in its folder engines/.")
    if engine is None and profile is not None:
        raise EdgeError("--profile tells the times of an engine's layers: give --engine too.")
    found = _lint_engine(graph, engine, profile) if engine else _lint_graph(graph, target)
    excess = found.excess(limits)
    if json:
        print_json(
            {
                "planned": found.planned,
                "carried_out": found.carried_out,
                "counts": found.counts(),
                "excess": excess,
                "findings": [asdict(finding) for finding in found.findings],
            }
        )
    else:
        print_text(found.text())
    if excess:
        raise typer.Exit(1)


def parse_limits(texts: tuple[str, ...] | list[str]) -> dict[str, int]:
    """Read "RULE=N" arguments.

    Raises
    ------
    EdgeError
        If one is of another form, or there is no such rule.
    """
    from edge_sdk.converters.plan_linter import FAULTS, NOTES

    limits = {}
    for text in texts:
        rule, _, count = text.partition("=")
        if rule not in (*FAULTS, *NOTES) or not count.isdigit():
            raise EdgeError(
                f"--allow {text} should be RULE=N with one of the rules "
                f"{', '.join((*FAULTS, *NOTES))}."
            )
        limits[rule] = int(count)
    return limits


def _lint_graph(path: Path, name: str) -> Lint:
    import importlib

    from edge_sdk.converters.engines.tensorrt_builder import parse
    from edge_sdk.converters.engines.tensorrt_files import planned_layers
    from edge_sdk.converters.model_file import load_model
    from edge_sdk.converters.parsed_network import view
    from edge_sdk.converters.plan_linter import lint as run
    from edge_sdk.converters.target import Target

    target = Target.parse(name)
    if target.on_cpu:
        raise EdgeError(f"--target {name} has no such graph: take tensorrt or tensorrt-rtx:smNN.")
    model = load_model(path)
    library = importlib.import_module(f"edge_sdk.converters.engines.{target.builder}").library()
    parsed = parse(library, model.SerializeToString())
    return run(view(library, parsed.network), planned_layers(model), target.variant)


def _lint_engine(path: Path, layers: Path, profile: Path | None) -> Lint:
    from edge_sdk.converters.engine_linter import lint_engine
    from edge_sdk.converters.engines.tensorrt_files import planned_layers
    from edge_sdk.converters.model_file import load_model

    return lint_engine(layers, planned_layers(load_model(path)), profile)
