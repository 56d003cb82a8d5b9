"""The two consoles that all commands share."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar

from edge_sdk.errors import EdgeError
from edge_sdk.progress import Progress


@contextmanager
def _written() -> Iterator[None]:
    """Let a failure to write on standard output be one sentence.

    Where the reader went away, as `| head` does, the program ends without a word.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        # What waits to be written would fail once more when the program ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise EdgeError(f"Cannot write to standard output: {error.strerror}.") from error


class _Results(Console):
    """Standard output."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as `Console.print` does."""
        with _written():
            super().print(*objects, **options)


_ENDLESS = 10_000
"""Columns of what is no terminal: lines in files and pipes stay whole, for grep."""

results = _Results(highlight=False, markup=False, emoji=False)
"""What a command was asked for, tables, facts and what was made: standard output."""
if not results.is_terminal:
    results.width = _ENDLESS

console = Console(stderr=True, highlight=False, markup=False, emoji=False)
"""What is said on the way, progress, notes and warnings: standard error."""


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Give a `Progress` that draws one bar per description, with the time left."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    tasks: dict[str, TaskID] = {}
    with Bar(*columns, console=console) as bar:

        def advance(done: int, total: int, what: str) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield advance


def command(*words: object) -> str:
    """Return a command as it can be given to a shell."""
    return shlex.join(map(str, words))


def say_next(what: str) -> None:
    """Say what to do with what was made."""
    console.print(f"Next: {what}", soft_wrap=True)


def print_text(text: str) -> None:
    """Print a text on standard output, as it is."""
    with _written():
        print(text, end="", flush=True)


def print_json(values: dict[str, Any]) -> None:
    """Print one JSON object on standard output."""
    print_text(json.dumps(values) + "\n")
