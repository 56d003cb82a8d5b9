"""The program `edge-sdk`: one small file a command."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from edge_sdk.cli.packages import missing
from edge_sdk.errors import EdgeError, MissingExtra

COMMANDS = (
    "convert", "calibrate", "profile", "plan", "refine", "build", "deploy", "run", "bench", "eval",
    "compare", "inspect", "doctor", "selftest", "dataset", "train", "finetune", "qat", "compile",
    "lint",
)  # fmt: skip

INTERRUPTED = 130
RESUMED = ("calibrate", "profile", "plan", "deploy", "train", "finetune", "qat")
"""Commands that keep what they have done when they are interrupted."""


def main() -> None:
    """Run the command line; print a user's mistake in one sentence and exit with status 2."""
    try:
        try:
            application()()
        except ModuleNotFoundError as error:
            if told := missing(error, sys.argv[1]):
                raise told from error
            raise
    except EdgeError as error:
        print(f"edge-sdk: {error}", file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, SystemExit) as end:
        # typer makes this status of an interruption, and says nothing.
        if isinstance(end, SystemExit) and end.code != INTERRUPTED:
            raise
        again = "; the same command goes on where it was" if sys.argv[1] in RESUMED else ""
        print(f"edge-sdk: interrupted{again}.", file=sys.stderr)
        sys.exit(INTERRUPTED)


def application() -> Any:
    """Return the typer application with every command that this installation has."""
    try:
        import typer
    except ImportError as error:
        raise MissingExtra("typer", "cli", "The command line") from error
    app = typer.Typer(
        name="edge-sdk",
        help="From a detector checkpoint to an INT8 engine that streams camera frames.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    for name in COMMANDS:
        module = importlib.import_module(f"edge_sdk.cli.{name}")
        app.command(name)(getattr(module, name))
    return app
