"""What all benchmarks share: interleaved timing, the machine, and the report.

from measure import conditions, interleaved, report

timings = interleaved({"ours": ours, "theirs": theirs}, repetitions=30)   # milliseconds
rows = [{"what": name, **timing._asdict()} for name, timing in timings.items()]
report("letterbox", rows, conditions(threads=1))
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from edge_sdk.cli.tables import table
from edge_sdk.evaluation.conditions import conditions
from edge_sdk.evaluation.timing import Timing, interleaved
from edge_sdk.files import write_text

__all__ = ["Timing", "conditions", "interleaved", "report"]

RESULTS = Path(__file__).parent / "results"


def report(name: str, rows: Sequence[Mapping[str, Any]], conditions: Mapping[str, Any]) -> Path:
    """Print the rows as a table with their conditions; write both to results/NAME.json."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    console.print(table(rows, title=name))
    console.print(", ".join(f"{key} {value}" for key, value in conditions.items()))
    path = RESULTS / f"{name}.json"
    write_text(path, json.dumps({"conditions": conditions, "rows": rows}, indent=1) + "\n")
    return path
