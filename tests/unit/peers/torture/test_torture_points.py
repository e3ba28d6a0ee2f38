"""The named points are where the product is, on both sides: a point that was renamed away would never kill."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mgate.daemon import crash
from mgate.peers.torture import broken, controls, database, kill
from mgate.peers.torture.main import MAKE, MEANING, ROUNDS, SHORT

ROOT = Path(__file__).resolve().parents[4]


def test_the_tool_knows_every_point_and_no_other() -> None:
    assert set(kill.POINTS) | set(database.POINTS) == set(crash.POINTS)
    assert not set(kill.POINTS) & set(database.POINTS)
    assert {wish.partition(":")[0] for wish in kill.ONCE_AT} == set(kill.ONCE)
    assert len(crash.POINTS) >= 14


def in_a_process(code: str) -> subprocess.CompletedProcess[str]:
    """Run where a patched class harms nobody."""
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_point_is_a_method_of_the_product() -> None:
    done = in_a_process(
        "from mgate.daemon.main import install_reactor; install_reactor()\n"
        "from mgate.daemon import crash\n"
        "for point in crash.POINTS.values(): assert callable(crash.place(point)[1]), point\n"
    )
    assert done.returncode == 0, done.stderr


KILLED = """
import sys
from mgate.daemon import crash
class Verb: __struct_fields__ = ("rows",)
class Accept(Verb): pass
class Store:
    def commit(self, verbs, now): print("did", verbs[0].rows, flush=True)
    def work(self, verbs, now): pass
    def flush(self): print("flushed", flush=True)
    def write(self, data): print("sent", flush=True); return int(sys.argv[1]) if len(sys.argv) > 1 else len(data)
    async def claim(self, rows): print("claimed", flush=True); return rows
sys.modules["product"] = sys.modules["__main__"]
told = dict(verb={verb!r}, command={command}, filled={filled})
crash.POINTS["x"] = crash.Point("product", "Store", {name!r}, {after}, **told)
crash.arm("x:{count}")
store = Store()
def verb(rows):
    made = Accept(); made.rows = rows; return [made]
"""


def killed(
    lines: str, name: str = "commit", after: bool = False, verb: str = "", command: int = -1, count: int = 1,
    filled: bool = False,
) -> str:  # fmt: skip
    code = KILLED.format(name=name, after=after, verb=verb, command=command, count=count, filled=filled)
    done = in_a_process(code + lines)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return " ".join([*done.stdout.split(), "died" if done.returncode else "lived"])


def test_death_comes_before_or_after_and_at_its_count() -> None:
    calls = "store.commit(verb((1,)), 0); store.commit(verb((2,)), 0); store.commit(verb((3,)), 0)"
    assert killed(calls) == "died"
    assert killed(calls, after=True) == "did (1,) died"
    assert killed(calls, count=3) == "did (1,) did (2,) died"
    assert killed(calls, count=4).endswith("lived")


def test_only_a_flush_of_the_verb_that_is_meant_counts_and_not_of_an_empty_one() -> None:
    one, none = "store.work(verb((1,)), 0); store.flush()", "store.work(verb(()), 0); store.flush()"
    assert killed(one, "flush", verb="Lease") == "flushed lived"
    assert killed(none, "flush", verb="Accept") == "flushed lived"
    assert killed(one, "flush", verb="Accept") == "died"
    assert killed(one, "flush", True, verb="Accept") == "flushed died"
    assert killed(f"{one}; store.flush()", "flush", verb="Accept", count=2) == "flushed flushed lived"


def test_a_pdu_is_found_behind_others_and_counts_when_some_of_it_was_sent() -> None:
    two = "bytes.fromhex('00000010 00000015 00000000 00000001 00000010 00000004 00000000 00000002')"
    assert killed(f"store.write({two})", "write", command=4) == "died"
    assert killed(f"store.write({two})", "write", True, command=4) == "sent died"
    assert killed(f"store.write({two})", "write", command=5) == "sent lived"
    assert (
        killed("import sys; sys.argv.append('0'); store.write(" + two + ")", "write", True, command=4) == "sent lived"
    )


def test_a_coroutine_is_passed_when_its_work_is_done_and_an_empty_claim_is_none() -> None:
    claim = "import asyncio; asyncio.run(store.claim({}))"
    assert killed(claim.format("[1]"), "claim") == "died"
    assert killed(claim.format("[1]"), "claim", True, filled=True) == "claimed died"
    assert killed(claim.format("[]"), "claim", True, filled=True) == "claimed lived"


def test_who_is_to_stand_still_does_so_once_and_goes_on() -> None:
    lines = "crash.stand_still = lambda: print('stands', flush=True)\n"
    lines += "crash.POINTS['y'] = crash.Point('product', 'Store', 'write', False)\ncrash.arm('y:2:stop')\n"
    assert killed(lines + "for _ in range(4): store.write(b'')") == "sent stands sent sent sent lived"


@pytest.mark.parametrize("wish", ["nowhere:1", "stop.begun", "stop.begun:0", "stop.begun:x", "stop.begun:1:dance"])
def test_a_wish_that_names_no_point_is_refused(wish: str) -> None:
    with pytest.raises(ValueError, match="not name:count or name:count:stop of one of"):
        crash.arm(wish)


def test_every_control_is_a_build_and_has_a_discipline() -> None:
    assert set(controls.CONTROLS) == set(broken.PATCHES)
    assert set(controls.SHORT) <= set(controls.CONTROLS)
    for control in controls.CONTROLS.values():
        assert not isinstance(control.discipline, str) or control.discipline in MAKE
        assert control.kinds or control.words != "\0"


@pytest.mark.parametrize("name", sorted(broken.PATCHES))
def test_every_patch_finds_what_it_breaks(name: str) -> None:
    done = in_a_process(
        "from mgate.daemon.main import install_reactor; install_reactor()\n"
        "from mgate.peers.torture import broken\n"
        f"broken.PATCHES[{name!r}]()\n"
    )
    assert done.returncode == 0, done.stderr


def test_every_discipline_has_a_meaning_and_a_number_of_rounds() -> None:
    assert set(MAKE) == set(MEANING) == set(ROUNDS)
    assert {make().name for make in MAKE.values()} == set(MAKE)
    assert {name for name, _ in SHORT} <= set(MAKE)
