"""A report that was written down is shown again as it was."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from mgate.peers.bench import command
from mgate.peers.bench.figures import Asked, Figure, Result, figure
from mgate.peers.bench.report import Machine, Report, markdown

REPORT = Report(
    datetime(2026, 11, 22, 9, 0, tzinfo=UTC),
    Machine("Example CPU", 2, 24 << 30, "6.18", "3.11.7", "abc1234"),
    quick=False,
    rows=(
        Result(
            "batch",
            "meaning",
            (
                figure("messages a second", 15_021.4, unit="a second", asked=Asked(">=", 15_000.0)),
                figure("memory", 250.0, unit="MiB", asked=Asked("<", 200.0)),
                Figure("a | b: 50 / 95 %", (1.25, 12.0), "ms"),
            ),
            ("a note",),
            0.17,
            0.25,
        ),
    ),
    failed={"idle": "it fell\nand | broke"},
)

SHOWN = """\
## 2026-11-22, commit abc1234

Example CPU, 2 cores for everybody, 24 GiB, kernel 6.18, Python 3.11.7.

| row | figure | measured | asked | kept |
|---|---|---:|---:|---|
| `batch` | messages a second | 15,021 a second | ≥ 15,000 | yes |
|  | memory | 250 MiB | < 200 | **no** |
|  | a \\| b: 50 / 95 % | 1.2 / 12.0 ms |  |  |
|  | fdatasync before / after | 0.17 / 0.25 ms | < 0.5 | |

* `batch`: a note
* **`idle` has failed**: it fell and \\| broke
"""


def test_a_report_is_shown_whole_with_what_was_not_kept_and_what_failed() -> None:
    assert markdown(REPORT) == SHOWN


def test_quick_figures_are_shown_as_no_measurement() -> None:
    assert "no measurement" in markdown(msgspec.structs.replace(REPORT, quick=True))
    assert "no measurement" not in markdown(REPORT)


def test_the_table_is_made_again_from_the_file_by_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    file.write_bytes(msgspec.json.encode(REPORT))
    monkeypatch.setattr(sys, "argv", ["tools/bench", "--table", str(file)])
    assert command.main() == 0
    assert capsys.readouterr().out == SHOWN


@pytest.mark.parametrize("content", [None, b"{}", b"no JSON"])
def test_a_file_that_is_no_report_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    file = tmp_path / "figures.json"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setattr(sys, "argv", ["tools/bench", "--table", str(file)])
    assert command.main() == 2
    assert "is nothing that tools/bench --json wrote" in capsys.readouterr().err
