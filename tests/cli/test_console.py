"""What goes to standard output, and what if it cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import edge_sdk

PROGRAM = [sys.executable, "-c", "from edge_sdk.cli import main; main()"]


def test_results_are_on_standard_output_in_whole_lines() -> None:
    done = subprocess.run(
        [*PROGRAM, "doctor"], capture_output=True, text=True, check=True,
        env={**os.environ, "COLUMNS": "40"},
    )  # fmt: skip
    assert done.stderr == ""
    (line,) = (line for line in done.stdout.splitlines() if "engine, the default on" in line)
    assert "openvino" in line


def test_the_version_is_told() -> None:
    done = subprocess.run([*PROGRAM, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"edge-sdk {edge_sdk.__version__}\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("options", [("doctor",), ("doctor", "--json"), ("--version",)])
def test_a_full_disk_is_one_sentence(options: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*PROGRAM, *options], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.stderr == "edge-sdk: Cannot write to standard output: No space left on device.\n"
    assert done.returncode == 2


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_reader_that_went_away_is_no_mistake(options: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*PROGRAM, "doctor", *options], stdout=writer, stderr=subprocess.PIPE, text=True,
        check=False,
    )  # fmt: skip
    os.close(writer)
    assert done.stderr == ""
