"""The operator accounts while the daemon runs: those that come and go, other rates and windows, more or fewer binds,
and signing on anew.

What a bind has written is answered before the bind goes: it takes nothing more, its slots come free one by one, each
after the commit of its outcome, and only then is it unbound. So a change of settings leaves nothing in doubt. Where the
operator's cap of sessions leaves room, a bind that signs on anew does so before the old one goes. What waits for an
account that goes leaves by others, or waits until there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import Final

from twisted.internet.defer import Deferred, DeferredLock, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from mgate.channels.smpp.channel import SmppChannel
from mgate.channels.smpp.hosts import Hosts
from mgate.config import Sms
from mgate.daemon.logs import bug
from mgate.dispatch.dispatcher import Dispatcher, RoutePlan
from mgate.model.message import Secret
from mgate.telemetry import Event, Log, Telemetry

_EVERY: Final = 0.05
"""Seconds between two looks at the slots of a bind that is to go."""


class Operators:
    """Takes up other settings of the accounts.

    Args:
        accounts: by route; who comes is put in by ``plan``, who goes is taken out here.
        plan: how the dispatcher takes up a new account.
        connect: how to reach an account.
        password: reads its password; OSError when it cannot be read.
        passwords: those that the accounts were built with, by route.
    """

    def __init__(
        self, accounts: MutableMapping[str, SmppChannel], dispatcher: Dispatcher,
        plan: Callable[[Sms, Secret], RoutePlan], connect: Callable[[Sms], Hosts],
        password: Callable[[Sms], Secret], passwords: Mapping[str, Secret], clock: IReactorTime,
        telemetry: Telemetry, log: Log,
    ) -> None:  # fmt: skip
        self._accounts = accounts
        self._dispatcher = dispatcher
        self._plan = plan
        self._connect = connect
        self._password = password
        self._passwords = dict(passwords)
        self._clock = clock
        self._telemetry = telemetry
        self._log = log
        self._locks: dict[str, DeferredLock] = {}

    def other_password(self, sms: Sms) -> bool:
        """Whether the password's file holds another one than the account was given.

        Raises:
            OSError: it cannot be read.
        """
        return self._password(sms) != self._passwords[sms.route]

    def look(self, sms: Sms) -> None:
        """See that the account has a password.

        Raises:
            OSError: it cannot be read.
        """
        self._password(sms)

    def begin(self, sms: Sms) -> Deferred[None]:
        """One more account: it connects at once, or when one of its name that goes has gone.

        Raises:
            OSError: its password cannot be read.
        """
        password = self._password(sms)

        def come() -> None:
            self._passwords[sms.route] = password
            self._telemetry.apply({sms.route: sms.binds})
            self._dispatcher.add(self._plan(sms, password))
            self._accounts[sms.route].start()
            self._log(Event.ACCOUNT_CAME, route=sms.route)

        return self._lock(sms.route).run(come).addErrback(self._failed)

    def end(self, route: str) -> Deferred[None]:
        """The account goes: nothing more leaves by it, its windows run empty, and it unbinds. Fires when it is gone."""
        done = self._lock(route).run(lambda: Deferred.fromCoroutine(self._go(route)))
        return done.addErrback(self._failed)

    async def _go(self, route: str) -> None:
        account = self._accounts[route]
        every = range(len(account.binds))
        account.rest(every)
        await self._emptied(route, every)
        await account.stop()
        self._dispatcher.remove(route)
        del self._accounts[route]
        self._log(Event.ACCOUNT_GONE, route=route)

    def _lock(self, route: str) -> DeferredLock:
        return self._locks.setdefault(route, DeferredLock())

    def apply(self, sms: Sms, anew: bool) -> Deferred[None]:
        """Go on by these settings; ``anew``: let its binds sign on again, with the password of this moment. Fires when
        all is done; a change that comes meanwhile waits for it.

        Raises:
            OSError: the password cannot be read.
        """
        if anew:
            self._passwords[sms.route] = self._password(sms)
        done = self._lock(sms.route).run(lambda: Deferred.fromCoroutine(self._change(sms, anew)))
        return done.addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        bug(self._log, failure.value, "while an operator's settings were changed")

    async def _change(self, sms: Sms, anew: bool) -> None:
        account, way = self._accounts[sms.route], self._dispatcher.ways[sms.route]
        before = len(account.binds)
        surplus = range(sms.binds, before)
        again: Sequence[int] = range(min(before, sms.binds)) if anew else range(0)
        self._telemetry.apply({sms.route: sms.binds})
        account.apply(sms, self._passwords[sms.route], self._connect(sms))
        way.apply((sms.window,) * sms.binds, float(sms.rate))
        again = [bind for bind in again if not await account.replace(bind)]
        account.rest((*again, *surplus))
        await self._emptied(sms.route, (*again, *surplus))
        await gatherResults([account.renew(bind) for bind in again])
        await account.drop(len(surplus))

    async def _emptied(self, route: str, binds: Iterable[int]) -> None:
        slots = self._dispatcher.ways[route].slots
        for bind in binds:
            while slots.used_on(bind):
                await deferLater(self._clock, _EVERY, lambda: None)
