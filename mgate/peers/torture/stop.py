"""Graceful restarts under load: SIGTERM, an orderly end, a start. Nothing may be in doubt, nothing repeated.

The operator answers everything, because a doubt that its silence makes would be no fault of the stop.
"""

from collections.abc import Mapping
from typing import Final

from mgate.peers.torture.stage import ACCOUNT, Course, Discipline, Evidence, Stage

SCRIPT: Final = (
    ACCOUNT
    + """\
[latency]
submit = [0.01, 0.3]
[throttling]
queue_full = 0.002
[receipts]
delay = [0.05, 3.0]
retry = 2.0
states = { DELIVRD = 0.95, UNDELIV = 0.05 }
before_response = 0.05
other_bind = 0.2
"""
)


class Stop(Discipline):
    """See the module."""

    name = "stop"

    def course(self, course: Course) -> Course:
        """With an operator that is never silent."""
        return course._replace(script=SCRIPT)

    async def round(self, stage: Stage, number: int) -> None:
        """A life, a stop, a start."""
        await stage.spend(stage.random.uniform(0.05, 1.0))
        await stage.stop()
        await stage.start()
        stage.deeds["stopped and started"] += 1

    def judge(self, evidence: Evidence, counts: Mapping[str, int]) -> list[str]:
        """0 uncertain, 0 repeats."""
        wrong = []
        if counts.get("repeats") or counts.get("repeats marked"):
            wrong.append(f"{counts['repeats']} repeats, {counts['repeats marked']} marked: a stop must cause none")
        if counts.get("parts in doubt"):
            wrong.append(f"{counts['parts in doubt']} parts in doubt: a stop must leave none")
        lost = evidence.words.events.get("answers_lost", 0)
        if lost:
            wrong.append(
                f"{lost} times answers were given up: a stop must wait for them, and this operator answers all"
            )
        if evidence.words.swept:
            wrong.append(f"{len(evidence.words.swept)} starts found open attempts after an orderly stop")
        return wrong
