from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_sdk.errors import EdgeError
from edge_sdk.runtime import file_series
from edge_sdk.runtime.file_series import FileSeries
from edge_sdk.runtime.line_file import LineFile


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(file_series, "perf_counter", clock)
    return clock


def written(series: FileSeries, number: int = 1) -> Path:
    path = series.begin(number)
    path.touch()
    return path


def test_one_file_has_the_name_it_was_given(tmp_path: Path) -> None:
    series = FileSeries(tmp_path / "out.mp4")
    assert not series.divided
    assert not series.over()
    assert [series.begin(number).name for number in (1, 2)] == ["out.mp4", "out-2.mp4"]


def test_a_new_file_is_due_after_so_many_seconds(tmp_path: Path, clock: Clock) -> None:
    series = FileSeries(f"{tmp_path}/out.mp4?every=60")
    assert series.path == tmp_path / "out.mp4"
    names = [written(series).name, written(series, 2).name]
    assert re.fullmatch(r"out-\d{8}T\d{6}Z\.mp4", names[0])
    assert re.fullmatch(r"out-2-\d{8}T\d{6}Z\.mp4", names[1])
    clock.now = 59
    assert not series.over()
    clock.now = 60
    written(series, 2)
    assert series.over()
    assert not series.over(2)


def test_no_file_is_written_over(tmp_path: Path) -> None:
    """Two of one second, as after a clock that was set back."""
    series = FileSeries(f"{tmp_path}/out.jsonl?every=1")
    names = [written(series).name for _ in range(3)]
    assert len(set(names)) == 3
    assert names == sorted(names)


def test_the_newest_stay_and_nothing_else_is_touched(tmp_path: Path) -> None:
    others = [
        "out.mp4", "out-2.mp4", "out-1.mp4", "a-out-20200101T000000Z.mp4", "out-20200101.mp4",
        "out-2-20200101T000000Z.mp4", "out-20200101T000000Z.mkv", "in-20200101T000000Z.mp4",
    ]  # fmt: skip
    for name in (*others, "out-20200101T000000Z.mp4", "out-20200102T000000Z.mp4"):
        (tmp_path / name).touch()
    series = FileSeries(f"{tmp_path}/out.mp4?every=60&keep=2")
    first = written(series)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*others, "out-20200102T000000Z.mp4", first.name}
    second, third = written(series), written(series)
    assert {path.name for path in tmp_path.iterdir()} == {*others, second.name, third.name}


def test_one_file_is_kept_of_one(tmp_path: Path) -> None:
    series = FileSeries(f"{tmp_path}/out.mp4?every=60&keep=1")
    written(series)
    last = written(series)
    assert list(tmp_path.iterdir()) == [last]


def test_what_cannot_be_removed_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stuck = tmp_path / "out-20200101T000000Z.mp4"
    stuck.mkdir()
    FileSeries(f"{tmp_path}/out.mp4?every=60&keep=1").begin()
    assert f"{stuck} is kept" in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("every=0.5", "'every' cannot be '0.5'"),
        ("every=nan", "'every' cannot be 'nan'"),
        ("every=60&keep=0", "'keep' cannot be '0'"),
        ("keep=3", "`keep` needs `every`"),
        ("every=60&size=3", "unknown option 'size=3'; known here: every, keep"),
    ],
)
def test_bad_options_are_named(tmp_path: Path, options: str, message: str) -> None:
    with pytest.raises(EdgeError, match=re.escape(message)):
        FileSeries(f"{tmp_path}/out.mp4?{options}")


def test_lines_go_on_in_another_file(tmp_path: Path, clock: Clock) -> None:
    file = LineFile(f"{tmp_path}/out.jsonl?every=10")
    for second in (0, 9, 10, 12):
        clock.now = second
        file.write(str(second))
    file.close()
    assert [path.read_text() for path in sorted(tmp_path.iterdir())] == ["0\n9\n", "10\n12\n"]


def test_lines_stay_in_a_file_that_none_can_follow(tmp_path: Path, clock: Clock) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    file = LineFile(f"{folder}/out.jsonl?every=10")
    file.write("0")
    moved = folder.rename(tmp_path / "moved")
    clock.now = 10
    with pytest.raises(EdgeError, match="Cannot write"):
        file.write("10")
    file.write("11")
    file.close()
    assert [path.read_text() for path in moved.iterdir()] == ["0\n11\n"]
