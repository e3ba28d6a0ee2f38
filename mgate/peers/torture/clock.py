"""The wall clock steps while everything runs: days forward, hours back, and straight again.

Timers must not notice: the line is quiet enough that enquire_link is due all the time, and each is timed from outside.
Nothing may leave after its life, whatever the clock says: in every other round the line is down during the step, and
comes back after short lives have ended.
"""

import asyncio
import os
import struct
import time
from collections.abc import Mapping
from typing import Final

from mgate.peers.torture.proxy import Fault, Proxy
from mgate.peers.torture.stage import SILENCE, Course, Discipline, Evidence, Stage
from mgate.peers.traffic import Mix

HOUR: Final = 3600.0
STEPS: Final = (72 * HOUR, -2 * HOUR, HOUR, -5.0, 20.0)
"""Seconds; the first two are F8's."""

ENQUIRE: Final = 1.0
LATE: Final = 0.05
"""Seconds that a timer may be late or early on a machine that does nothing else."""

LAGS: Final = 6.0
"""How many times the worst lag of our own timers it may be besides: a busy machine makes everybody late."""

_SAMPLE: Final = 0.05

WORST: Final = "largest timer error, ms"
OUR_LAG: Final = "largest lag of our own timers, ms"
SHORT_LIFE: Final = 5
SEEN: Final = 6.0
"""Seconds after a step, so that a timer that stands still is seen to."""

SITE: Final = """\
import mmap, os, struct, time
_real, _place = time.time, open(os.environ["MGATE_TORTURE_CLOCK"], "rb")
_octets = mmap.mmap(_place.fileno(), 8, access=mmap.ACCESS_READ)
time.time = lambda: _real() + struct.unpack("<d", _octets)[0]
"""
"""Not libfaketime: its 0.9.10 makes Python's own clock_nanosleep fail (EINVAL) and other timed waits late, so
that every daemon looks broken. The product has one wall clock, ``time.time``; whoever asks it is told ours."""

_SETTINGS: Final = f'enquire_link = "{ENQUIRE:g}s"\nresponse_limit = "5s"\nreconnect_max = "2s"\n'


class Clock(Discipline):
    """See the module."""

    name = "clock"

    def __init__(self) -> None:
        self._proxy: Proxy | None = None
        self._lag = 0.0
        self._sampling: asyncio.Task[None] | None = None

    def course(self, course: Course) -> Course:
        """Few messages over many binds, so that lines fall silent; many of them with a short life.

        The operator answers all: an enquire_link also goes out when an answer is late, and here only silence may ask.
        """
        return course._replace(
            rate=min(course.rate, 4.0),
            binds=8,
            window=5,
            settings=_SETTINGS,
            mix=Mix(short=0.3, short_life=SHORT_LIFE),
            script=course.script.replace(SILENCE, ""),
        )

    async def prepare(self, stage: Stage) -> None:
        """Put the proxy between, that hears the timers."""
        self._proxy = Proxy(stage.port, stage.random, ENQUIRE)
        stage.port = await self._proxy.open()
        self._sampling = asyncio.create_task(self._sample())

    async def begin(self, stage: Stage) -> None:
        """On a clock that is right so far."""
        (stage.folder / "clock").write_bytes(bytes(8))
        await stage.start(_environment(stage))
        await stage.spend(3.0)

    async def round(self, stage: Stage, number: int) -> None:
        """A step, a while, and back."""
        proxy = self._the_proxy
        step = STEPS[(number - 1) % len(STEPS)]
        down = number % 2 == 0
        if down:
            proxy.strike(Fault.RESET)
            await stage.spend(1.0)
        _step(stage, step)
        await stage.spend(SHORT_LIFE + 2.0 if down else SEEN)
        if down:
            proxy.heal()
            await stage.spend(3.0)
        self._overdue(stage, f"after {step:+g} s")
        _step(stage, 0.0)
        await stage.spend(SEEN)
        self._overdue(stage, f"back from {step:+g} s")
        stage.deeds[f"stepped {step:+g} s{', line down' if down else ''}"] += 1
        stage.must_live()

    async def finish(self, stage: Stage) -> None:
        """An orderly end, and a start on a clock that nobody touches."""
        await stage.stop()
        await stage.start()

    async def tidy(self, stage: Stage) -> None:
        """Take the proxy away."""
        if self._sampling is not None:
            self._sampling.cancel()
        if self._proxy is not None:
            await self._proxy.close()

    def judge(self, evidence: Evidence, counts: Mapping[str, int]) -> list[str]:
        """Every enquire_link was on time, and there were some."""
        deeds = evidence.deeds
        if not deeds.get("timers heard"):
            return ["void: no enquire_link was heard, so no timer was measured"]
        worst, lag = deeds.get(WORST, 0), deeds.get(OUR_LAG, 0)
        return [f"a timer was {worst} ms off its time, and ours {lag} ms"] if worst > _most(lag / 1000) * 1000 else []

    @property
    def _the_proxy(self) -> Proxy:
        if self._proxy is None:
            raise AssertionError("prepare comes first")
        return self._proxy

    def _overdue(self, stage: Stage, when: str) -> None:
        """Look at what the proxy has heard, and at lines that have been silent for too long."""
        proxy = self._the_proxy
        stage.deeds["timers heard"] += len(proxy.errors)
        worst = round(max(map(abs, proxy.errors), default=0.0) * 1000)
        stage.deeds[WORST] = max(stage.deeds[WORST], worst)
        stage.deeds[OUR_LAG] = max(stage.deeds[OUR_LAG], round(self._lag * 1000))
        proxy.errors.clear()
        silent = proxy.longest_silence(time.monotonic())
        if silent > ENQUIRE + _most(self._lag):
            stage.besides.append(f"{when}: a line was silent for {silent:.2f} s, and no enquire_link came")

    async def _sample(self) -> None:
        """How late our own timers are."""
        while True:
            due = time.monotonic() + _SAMPLE
            await asyncio.sleep(_SAMPLE)
            self._lag = max(self._lag, time.monotonic() - due)


def _most(lag: float) -> float:
    return LATE + LAGS * lag


def _step(stage: Stage, seconds: float) -> None:
    """Set the daemon's wall clock so far from ours."""
    with (stage.folder / "clock").open("r+b") as file:
        file.write(struct.pack("<d", seconds))


def _environment(stage: Stage) -> Mapping[str, str]:
    """What puts our clock into the daemon's interpreter before its first line."""
    site = stage.folder / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(SITE)
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "MGATE_TORTURE_CLOCK": str(stage.folder / "clock")}
