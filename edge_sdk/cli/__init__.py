"""The program `edge-sdk`: one small file a command."""

from __future__ import annotations

import importlib
import signal
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
_WHERE_IT_WAS = "; the same command goes on where it was"
_LAST_SAVED = "; the same command goes on from what it last saved, some minutes ago at most"
AGAIN = {
    **dict.fromkeys(("calibrate", "profile", "plan", "deploy"), _WHERE_IT_WAS),
    **dict.fromkeys(("train", "finetune", "qat"), _LAST_SAVED),
}
"""Command that keeps what it has done when it is interrupted -> what to tell then."""


def main() -> None:
    """Run the command line; print a user's mistake in one sentence and exit with status 2."""
    _end_by_signals()
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
        print(f"edge-sdk: interrupted{AGAIN.get(sys.argv[1], '')}.", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _end_by_signals() -> None:
    """Let what ends a program, a closed terminal, say, work like Ctrl-C: nothing is left behind."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup has one ignored
            signal.signal(number, signal.default_int_handler)


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
    version = typer.Option(
        False, "--version", help="Show the version.", callback=_show_version, is_eager=True
    )

    @app.callback()
    def before(_: bool = version) -> None:
        pass

    for name in COMMANDS:
        module = importlib.import_module(f"edge_sdk.cli.{name}")
        app.command(name)(getattr(module, name))
    return app


def _show_version(asked: bool) -> None:
    """Print the version and end, if that was asked for."""
    if asked:
        import edge_sdk
        from edge_sdk.cli.console import print_text

        print_text(f"edge-sdk {edge_sdk.__version__}\n")
        raise SystemExit
