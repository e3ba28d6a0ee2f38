"""The webhooks, while the daemon runs: a feed, a caller and a shared secret each."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.python.failure import Failure

from mgate.config import Config, Webhook
from mgate.control.webhook_views import DeadView, ReplayView, WebhookView
from mgate.daemon.identities import Identities
from mgate.daemon.outward import Lateness, WebhookEars
from mgate.feeds import webhook as feed
from mgate.feeds.api import Feeds
from mgate.feeds.dead import Burying, DeadList
from mgate.feeds.lines import moment
from mgate.feeds.stream import Journal
from mgate.feeds.tap import Tap, Unread
from mgate.net.calling import Answered, Caller, Unanswered
from mgate.spool.verbs import DeadRun
from mgate.telemetry import Alarm, Event, Log, Telemetry

CONNECT_LIMIT: Final = 5.0
SHORTEST_SECRET: Final = 16
_SOFT: Final = ("url", "tls", "secret_file", "batch", "limit", "retry_for")


@dataclass(frozen=True, slots=True)
class Around:
    """What every webhook works with. ``wall``: seconds since 1970; ``version``: of mgate, told to who is called."""

    feeds: Feeds
    journal: Journal
    spool: Burying
    identities: Identities
    wall: Callable[[], float]
    reactor: IReactorTime
    telemetry: Telemetry
    log: Log
    version: str


class _One:
    def __init__(self, config: Webhook, late: Lateness, dead: Lateness, around: Around) -> None:
        self.config = config
        self.ears = WebhookEars(config.name, late, dead, around.telemetry, around.log)
        self._around = around
        self._caller: Caller | None = None
        self._secret = b""
        feeds, name = around.feeds, f"webhook.{config.name}"
        tap = Tap(config.client, name, feeds.stream, feeds.bookmarks, around.reactor)
        self.feed = feed.Webhook(
            config.name, tap, DeadList(config.client, name, around.journal, around.spool), self._post, self._manner(),
            feeds.cursors.prefix, around.reactor, around.wall, self.ears,
            lambda: random.uniform(0.8, 1.2),  # noqa: S311  # it spreads pauses
        )  # fmt: skip

    def start(self) -> None:
        self.feed.start()
        self.look_at_dead()

    def stop(self) -> Deferred[None]:
        self.feed.stop()
        self.ears.gone()
        return self._hang_up()

    def apply(self, config: Webhook) -> None:
        """Go on by these settings, and by what stands in the files now."""
        self.config = config
        self._hang_up()
        self.feed.apply(self._manner(), self._post)

    def look_at_dead(self) -> None:
        """Raise or clear the alarm by what is on the list."""
        self.feed.dead().addCallbacks(lambda runs: self.ears.listed(len(runs)), lambda failure: failure.trap(Unread))

    def _manner(self) -> feed.Manner:
        try:
            self._secret = secret_in(self.config.secret_file)
        except (OSError, ValueError) as error:
            # What was read before goes on being used; without any, nothing is called.
            why = f"{self.config.secret_file}: {error}"
            self._around.log(Event.CONFIG_REFUSED, source=f"webhooks.{self.config.name}", detail=why)
        return feed.Manner(self.config.batch, self.config.retry_for, self._secret)

    def _post(self, headers: Mapping[str, str], body: bytes) -> Deferred[Answered]:
        if not self._secret:
            return _none(f"{self.config.secret_file} holds no secret: requests cannot be signed")
        if self._caller is None:
            self._caller = Caller(self._around.reactor, self._way, self._around.wall)
        said = {**headers, "User-Agent": f"mgate/{self._around.version}"}
        return self._caller.post(self.config.url, said, body, self.config.limit)

    def _way(self, host: str, port: int) -> IStreamClientEndpoint:
        identity = self._around.identities.get(self.config.tls)
        if identity is None:
            raise Unanswered(f"there is no [tls.{self.config.tls}]")
        return identity.client(HostnameEndpoint(self._around.reactor, host, port, timeout=CONNECT_LIMIT), host)

    def _hang_up(self) -> Deferred[None]:
        caller, self._caller = self._caller, None
        return caller.close() if caller is not None else _done()


class Webhooks:
    """Every webhook: see ``control.webhooks.WebhookBoard``."""

    def __init__(self, config: Config, around: Around) -> None:
        self._around = around
        self._late = Lateness(Alarm.WEBHOOK_LATE, around.telemetry, around.log)
        self._dead = Lateness(Alarm.WEBHOOK_DEAD, around.telemetry, around.log)
        self._started = False
        self._all = {each.name: self._new(each) for each in config.webhooks}

    def start(self) -> None:
        """Call from now on."""
        self._started = True
        for one in self._all.values():
            one.start()

    def stop(self) -> Deferred[None]:
        """Call no more."""
        self._started = False
        return DeferredList([one.stop() for one in self._all.values()]).addCallback(lambda _: None)

    def apply(self, config: Config) -> None:
        """Go on by this configuration. One that tells another client's events is another feed."""
        wanted = {each.name: each for each in config.webhooks}
        for name, one in list(self._all.items()):
            if name not in wanted or wanted[name].client != one.config.client:
                self._all.pop(name).stop()
        for name, each in wanted.items():
            if name in self._all:
                self._all[name].apply(each)
            else:
                self._all[name] = self._new(each)
                if self._started:
                    self._all[name].start()

    def _new(self, config: Webhook) -> _One:
        return _One(config, self._late, self._dead, self._around)

    # ---- the board -------------------------------------------------------------------------------------------------

    def names(self) -> tuple[str, ...]:
        """See ``control.webhooks.WebhookBoard``."""
        return tuple(self._all)

    def views(self, name: str = "") -> tuple[WebhookView, ...]:
        """See ``control.webhooks.WebhookBoard``."""
        return tuple(self._view(one) for one in self._all.values() if name in {"", one.config.name})

    def pause(self, name: str) -> None:
        """See ``control.webhooks.WebhookBoard``."""
        self._all[name].feed.pause()

    def resume(self, name: str) -> None:
        """See ``control.webhooks.WebhookBoard``."""
        self._all[name].feed.resume()

    def dead(self, name: str, answer: Callable[[tuple[DeadView, ...] | None], None]) -> None:
        """See ``control.webhooks.WebhookBoard``."""
        one = self._all[name]

        def found(runs: list[DeadRun]) -> None:
            one.ears.listed(len(runs))
            answer(tuple(_dead_view(run) for run in runs))

        one.feed.dead().addCallbacks(found, partial(_unread, answer))

    def replay(self, name: str, dry_run: bool, answer: Callable[[ReplayView | None], None]) -> None:
        """See ``control.webhooks.WebhookBoard``."""
        one = self._all[name]

        def found(runs: list[DeadRun]) -> None:
            begun = not dry_run and bool(runs) and one.feed.replay(runs)
            answer(ReplayView(name, dry_run, len(runs), sum(run.events for run in runs), begun))

        one.feed.dead().addCallbacks(found, partial(_unread, answer))

    def _view(self, one: _One) -> WebhookView:
        config, numbers = one.config, self._around.telemetry.outward_of("webhook", one.config.name)
        state = "paused" if one.feed.paused else "failing" if one.feed.why else "running"
        return WebhookView(
            config.name, config.client, config.url, state, one.feed.why, one.feed.replaying, int(numbers.told.n),
            int(numbers.refused.n), numbers.lag.n, round(one.feed.next_try, 1),
        )  # fmt: skip


def secret_in(path: Path) -> bytes:
    """The shared secret: the first line of its file.

    Raises:
        OSError: it cannot be read. ValueError: it is too short to be a secret.
    """
    secret = path.read_bytes().partition(b"\n")[0].strip()
    if len(secret) < SHORTEST_SECRET:
        raise ValueError(f"a secret of {SHORTEST_SECRET} characters or more is wanted: openssl rand -hex 32")
    return secret


def _dead_view(run: DeadRun) -> DeadView:
    return DeadView(run.first, run.last, run.events, run.reason, moment(run.at))


def _unread(answer: Callable[[None], None], failure: Failure) -> None:
    failure.trap(Unread)
    answer(None)


def _none(why: str) -> Deferred[Answered]:
    answer: Deferred[Answered] = Deferred()
    answer.errback(Unanswered(why))
    return answer


def _done() -> Deferred[None]:
    answer: Deferred[None] = Deferred()
    answer.callback(None)
    return answer
