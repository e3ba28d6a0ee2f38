"""A full disk: new messages are refused, nothing that was acknowledged is lost, and no restart is needed.

The disk is a tmpfs of a few MiB, which only root can mount. A limit of file size (RLIMIT_FSIZE) is no full disk: to
SQLite it is an I/O error, so the daemon lifts it where it may. Where it may not, it warns, and ends with the status of
a disk that cannot be trusted when a file comes to the limit.
"""

from __future__ import annotations

import http.client
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.instance import CALM, House, ask, batch, message, until

EX_IOERR = 74
MIB = 1 << 20
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)), int(sys.argv.pop(1))))
from mgate.daemon.main import main
main()
"""


@pytest.fixture
def tiny(house: House) -> Iterator[Path]:
    """The spool's folder of an instance, on a disk of 24 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a tiny disk")
    house.make(window=20)
    folder = house.path / "spool"
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"this root may not mount: {mounted.stderr.strip()}")
    try:
        (folder / "history").mkdir()
        text = house.config.read_text()
        house.config.write_text(f'{text}\n[spool]\nmin_free = "16MiB"\nreserve = "1MiB"\n')
        yield folder
    finally:
        for daemon in house.daemons:
            if daemon.alive:
                daemon.kill()
        subprocess.run(["umount", str(folder)], check=True)


def nothing_is_lost(house: House, taken: dict[str, str]) -> None:
    """Every message that was taken is known, under its id."""
    for ref, name in list(taken.items())[:: max(1, len(taken) // 100)]:
        (found,) = house.find(ref)
        assert found["id"] == name


def test_a_disk_that_fills_refuses_in_time_keeps_what_it_took_and_recovers_by_itself(house: House, tiny: Path) -> None:
    house.operator.start(CALM)
    house.start()
    house.pause()
    first = house.pushed("first")
    # Somebody else fills the disk below the limit of the early refusal.
    filler = tiny / "filler"
    filler.write_bytes(b"\0" * (9 * MIB))
    refused = until(lambda: _refusal(house), "a push is refused")
    assert (refused.status, refused.body["error"]) == (503, "not_kept")
    assert "disk" in refused.body["detail"]
    assert int(refused.headers["Retry-After"]) >= 1
    assert "disk_low" in ask(house.metrics_socket, "GET", "/health").body["alarms"]
    # What is in the spool still leaves.
    house.resume()
    house.wait_state(first, "delivered")
    filler.unlink()
    again = until(lambda: _taken(house, "again"), "there is room again")
    house.wait_state(again, "delivered")
    assert "disk_low" not in ask(house.metrics_socket, "GET", "/health").body["alarms"]
    house.stop()


def test_a_disk_without_any_room_rolls_back_cleanly_and_goes_on_when_there_is_some(house: House, tiny: Path) -> None:
    house.operator.start("[latency]\nsubmit = 0.3\n[receipts]\ndelay = 0.5\n")
    house.start()
    house.wait_bound()
    # Below the early refusal nothing helps but the rollback: the disk is filled to its last octet with submits out.
    taken = {f"f{n}": house.pushed(f"f{n}") for n in range(30)}
    until(lambda: house.operator.submits(), "some are out")
    filler = tiny / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096):
                pass
        except OSError:
            pass
    until(lambda: house.events("commit_failed"), "a commit fails")
    assert _refusal(house).status == 503
    assert house.daemon.alive
    filler.unlink()
    again = until(lambda: _taken(house, "again"), "there is room again")
    for name in (*taken.values(), again):
        house.wait_state(name, "delivered")
    nothing_is_lost(house, taken)
    until(lambda: house.show(again)["in_history"], "history goes on too")
    assert not house.events("spool_swept")
    house.stop()
    assert len(house.operator.submits()) == 31


def test_a_file_that_may_not_grow_ends_the_daemon_as_a_broken_disk_does_and_loses_nothing(
    house: House,
) -> None:
    house.operator.start(CALM)
    house.make()
    house.start(command=("-c", LIMITED, str(3 * MIB), str(3 * MIB)))
    assert [line["octets"] for line in house.events("foreign_warning") if line["source"] == "RLIMIT_FSIZE"] == [3 * MIB]
    house.pause()
    taken: dict[str, str] = {}
    run = 0
    while house.daemon.alive:
        lines = [message(f"l{run}-{n}", text=f"{run}-{n} " + "filler " * 60) for n in range(50)]
        try:
            taken |= {result["ref"]: result["id"] for result in batch(house.push_socket, lines)}
        except (OSError, http.client.HTTPException):
            break
        run += 1
    assert house.daemon.wait() == EX_IOERR
    assert "the next start decides" in house.events("commit_failed")[-1]["detail"]
    assert len(taken) > 200
    house.start()
    nothing_is_lost(house, taken)
    again = batch(house.push_socket, [message(f"l{run}-{n}", text=f"{run}-{n} " + "filler " * 60) for n in range(50)])
    assert all("error" not in result for result in again)


def test_a_limit_that_may_be_lifted_is_lifted(house: House) -> None:
    house.make()
    daemon = house.start(command=("-c", LIMITED, str(3 * MIB), "-1"))
    limits = Path(f"/proc/{daemon.pid}/limits").read_text()
    assert next(line for line in limits.splitlines() if line.startswith("Max file size")).split()[3] == "unlimited"
    assert not house.events("foreign_warning")


def _refusal(house: House) -> Any:
    answer = house.push(f"refused-{os.urandom(4).hex()}")
    return answer if answer.status != 202 else None


def _taken(house: House, ref: str) -> str:
    answer = house.push(ref)
    return str(answer.body["id"]) if answer.status in (200, 202) else ""
