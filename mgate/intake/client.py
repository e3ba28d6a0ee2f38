"""A push client: what the owner of one socket may do."""

from __future__ import annotations

from dataclasses import dataclass

from mgate.model.message import TrafficClass


@dataclass(frozen=True, slots=True)
class PushClient:
    """The rules of one client, from ``[push.clients.NAME]``.

    Attributes:
        name: as the spool and the logs know it.
        classes: what it may send.
        senders: the senders it may use; None for any.
        default_sender: taken when a message names none; None: each message must name one.
        default_country: ISO 3166 code of two capitals, by which national numbers are read; None: E.164 only.
        rate: messages a second, and as many at once; None for no limit.
    """

    name: str
    classes: frozenset[TrafficClass]
    senders: frozenset[str] | None = None
    default_sender: str | None = None
    default_country: str | None = None
    rate: float | None = None


class RateBucket:
    """Counts messages against a rate: as many at once as one second brings, but never less than one.

    It lends: a batch takes what one read brought and then waits until the debt is paid, so that no line is refused.
    """

    __slots__ = ("_at", "_most", "_rate", "_tokens")

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._most = max(rate, 1.0)
        self._tokens = self._most
        self._at = now

    def take(self, count: int, now: float) -> float:
        """Take ``count`` tokens, into debt if need be; seconds until the debt is paid, 0.0 when there is none."""
        self._fill(now)
        self._tokens -= count
        return max(0.0, -self._tokens / self._rate)

    def wait_for_one(self, now: float) -> float:
        """Seconds until there is a token; 0.0 when there is one."""
        self._fill(now)
        return max(0.0, (1.0 - self._tokens) / self._rate)

    def _fill(self, now: float) -> None:
        self._tokens = min(self._most, self._tokens + (now - self._at) * self._rate)
        self._at = now
