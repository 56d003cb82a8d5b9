from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edge_sdk.cli import main


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["edge-sdk", "train", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    return int(exit_.value.code or 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "test://street", "--size", "100x96"), "multiples of 32"),
        (("--data", "test://street", "--size", "100"), "size 100x100 cannot be used"),
        (("--data", "test://street", "--size", "big"), "is neither HEIGHTxWIDTH nor one number"),
        (("--data", "test://street?speed=9"), "no option of test://street"),
        (("--data", "test://street?split=val"), "Training draws its own split"),
        (("--data", "nowhere"), "nowhere does not exist"),
        (("--data", "test://street", "--model", "x"), "There is no YOLO-NAS 'x'"),
        (("--data", "test://street", "--batch", "0"), "batch must be at least 1"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, *arguments, "-o", str(tmp_path / "run")) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
