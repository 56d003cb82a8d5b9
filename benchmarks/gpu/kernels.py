"""Every CUDA kernel against the C kernels, on this GPU: the tests that are marked `gpu`.

They are the same tests that run on the host everywhere (tests/runtime/cuda), with the GPU in its
place: letterbox within 1/255 of the C kernels (BGR to the bit), candidates and suppression to the
bit, and the same twice.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from edge_sdk.errors import EdgeError

TESTS = Path(__file__).resolve().parents[2] / "tests" / "runtime" / "cuda"
KEPT = 5
"""Failures of which the result holds the end of the traceback."""
_OUTCOMES = ("passed", "failed", "skipped")


def run() -> dict[str, Any]:
    """Run the tests; one row a test, counting its cases."""
    outcomes = _Outcomes()
    options = ["-q", "--tb=short", "-m", "gpu", "-p", "no:cacheprovider"]
    pytest.main([*options, str(TESTS)], plugins=[outcomes])
    names = sorted({name for name, _ in outcomes.counts})
    rows = [
        {"what": name, **{how: outcomes.counts[name, how] for how in _OUTCOMES}} for name in names
    ]
    total = {how: sum(row[how] for row in rows) for how in _OUTCOMES}
    if not total["passed"] and not total["failed"]:
        raise EdgeError(f"none of the kernels' tests ran: {outcomes.reason or 'none was found'}")
    verdict = "The CUDA kernels give what the C kernels give"
    if total["failed"]:
        verdict = "THE CUDA KERNELS FAIL"
    counted = ", ".join(f"{number} {how}" for how, number in total.items())
    return {
        "rows": rows, "remarks": [f"{verdict}: {counted}."], "failures": outcomes.failures,
    }  # fmt: skip


class _Outcomes:
    """A plugin of pytest that counts: (test, outcome) -> cases."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.reason = ""
        self.failures: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count what a case came to, or why it could not begin."""
        if report.when == "call" or report.outcome != "passed":
            name = report.nodeid.rpartition("::")[2].partition("[")[0]
            self.counts[name, report.outcome] += 1
        if report.failed and len(self.failures) < KEPT:
            self.failures.append(f"{report.nodeid}: {report.longreprtext[-1000:]}")
        if report.skipped and isinstance(report.longrepr, tuple):
            self.reason = report.longrepr[2]
