"""Runs the parts of the GPU benchmark one by one, each in a process of its own; see `run_all`.

A part is a module here with `run() -> {"rows": [...], "remarks": [...]}`, which raises EdgeError
where it cannot. Whatever happens to it (a crash in a library, its time run out) is written down,
and the next one goes on.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from edge_sdk.cuda_driver import first_gpu
from edge_sdk.errors import EdgeError
from edge_sdk.evaluation.conditions import conditions
from edge_sdk.files import write_text
from edge_sdk.gpu_state import gpu_state

PARTS = ("probe", "kernels", "kernel_speed", "engine", "accuracy", "latency")
"""In the order in which they need each other's results."""
LIMIT, LEAST = 570, 60
"""Seconds that one part may take, and that must be left to begin one."""
RESULTS = Path(__file__).resolve().parents[1] / "results"

Run = Callable[[str, float], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for, and return the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks/gpu/run_all", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help="to run again; else all new")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="for all of it")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {min(unknown)!r}: choose from {', '.join(PARTS)}")
    try:
        if options.part:
            return run_part(options.part)
        gpu = first_gpu()
    except (EdgeError, ModuleNotFoundError) as error:
        print(f"The GPU benchmark cannot run: {error}", file=sys.stderr)
        return 2
    print(f"{gpu.name}, {gpu.capability}")
    wanted = options.parts or [part for part in PARTS if not result_of(part).is_file()]
    return run_all(wanted, 60 * options.minutes, _in_a_process)


def run_all(wanted: Sequence[str], seconds: float, run: Run) -> int:
    """Run parts while there is time; return 0 if all of them have a result now.

    `run` is told how many seconds a part may take.
    """
    end = monotonic() + seconds
    left = []
    for part in wanted:
        limit = min(LIMIT, end - monotonic())
        if limit < LEAST:
            left.append(part)
            continue
        result_of(part).unlink(missing_ok=True)
        status = run(part, limit)
        if status != 0:
            print(f"{part}: failed (status {status}).")
            left.append(part)
    if left:
        print(f"Without a result: {', '.join(left)}.")
    return 1 if left else 0


def run_part(part: str) -> int:
    """Run one part in this process and write its result."""
    before = gpu_state()
    log, logger = _Log(), logging.getLogger("edge_sdk")
    logger.addHandler(log)
    logger.setLevel(logging.INFO)
    result = importlib.import_module(part).run()
    found = {**conditions(), "gpu_before": before, "gpu_after": gpu_state()}
    content = {"conditions": found, **result, "log": log.lines}
    write_text(result_of(part), json.dumps(content, indent=1))
    for row in result.get("rows", ()):
        print(", ".join(f"{name} {value}" for name, value in row.items()))
    for remark in result.get("remarks", ()):
        print(remark)
    return 0


class _Log(logging.Handler):
    """What was logged, each thing once: that a graph could not be captured, say."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        if record.getMessage() not in self.lines:
            self.lines.append(record.getMessage())


def result_of(part: str) -> Path:
    """Return the file of a part's result."""
    return RESULTS / f"gpu_{part}.json"


def read_result(part: str) -> dict[str, Any]:
    """Return the result of an earlier part.

    Raises
    ------
    EdgeError
        If it has none.
    """
    if not result_of(part).is_file():
        raise EdgeError(f"the part {part!r} has no result yet: run it first")
    content: dict[str, Any] = json.loads(result_of(part).read_text(encoding="utf-8"))
    return content


def _in_a_process(part: str, limit: float) -> int:
    print(f"--- {part}", flush=True)
    command = [sys.executable, __file__, "--part", part]
    try:
        return subprocess.run(command, timeout=limit, check=False).returncode
    except subprocess.TimeoutExpired:
        print(f"{part}: stopped after {limit:.0f} s.")
        return 124


if __name__ == "__main__":
    sys.exit(main())
