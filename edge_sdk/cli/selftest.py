"""edge-sdk selftest: is the engine right on this device?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edge_sdk.cli.console import console, print_json, results
from edge_sdk.cli.options import Device, RunTarget
from edge_sdk.cli.tables import table

_ROWS = {
    "objects": "objects", "missed": "missed", "added": "added",
    "score_shift": "largest score shift", "box_shift": "largest box shift, pixels",
    "log_odds": "mean shift of log odds", "map_drop": "drop of mAP50-95, 0..1",
}  # fmt: skip


def selftest(
    bundle: Annotated[Path, typer.Argument(help="A bundle NAME.edge.")],
    target: RunTarget = None,
    device: Device = 0,
    threads: Annotated[int | None, typer.Option(help="Of one inference.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Run the bundle's stored frames, and compare what is seen; exit status 1 if it failed.

    The result is compared with the float network's, and with what this engine saw where it was
    built.
    """
    from edge_sdk.runtime.selftest import selftest as run

    result = run(bundle, target=target, threads=threads, device=device)
    if json:
        print_json({"bundle": str(bundle), **result.to_dict()})
    else:
        _show(str(bundle), result.to_dict())
    if not result.passed:
        raise typer.Exit(1)


def _show(bundle: str, result: dict[str, Any]) -> None:
    against = {"float": result["against_float"], "where built": result["against_build"]}
    rows = [
        {"": words, **{name: values and values[key] for name, values in against.items()}}
        for key, words in _ROWS.items()
    ]
    results.print(table(rows, title=f"{result['frames']} frames ({result['target']}), against"))
    for problem in result["problems"]:
        results.print(problem, style="red", soft_wrap=True)
    if not result["recognized"]:
        console.print(
            "The network recognizes too little on the frames: its best guesses are compared, which "
            "says less. Build with --show-images DIR, a folder of its own kind of images.",
            style="yellow",
            soft_wrap=True,
        )
    verdict = "passed" if result["passed"] else "FAILED"
    results.print(f"{bundle}: selftest {verdict}.", soft_wrap=True)
