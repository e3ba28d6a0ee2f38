"""The operator accounts while the daemon runs: other rates and windows, more binds or fewer, and signing on anew.

What a bind has written is answered before the bind goes: it takes nothing more, its slots come free one by one, each
after the commit of its outcome, and only then is it unbound. So a change of settings leaves nothing in doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from twisted.internet.defer import Deferred, DeferredLock, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from mgate.channels.smpp.channel import SmppChannel
from mgate.channels.smpp.hosts import Hosts
from mgate.config import Sms
from mgate.daemon.logs import bug
from mgate.dispatch.dispatcher import Dispatcher
from mgate.model.message import Secret
from mgate.telemetry import Log, Telemetry

_EVERY: Final = 0.05
"""Seconds between two looks at the slots of a bind that is to go."""


class Operators:
    """Takes up other settings of the accounts.

    Args:
        connect: how to reach an account.
        password: reads its password; OSError when it cannot be read.
        passwords: those that the accounts were built with, by route.
    """

    def __init__(
        self, accounts: Mapping[str, SmppChannel], dispatcher: Dispatcher,
        connect: Callable[[Sms], Hosts], password: Callable[[Sms], Secret],
        passwords: Mapping[str, Secret], clock: IReactorTime, telemetry: Telemetry, log: Log,
    ) -> None:  # fmt: skip
        self._accounts = accounts
        self._dispatcher = dispatcher
        self._connect = connect
        self._password = password
        self._passwords = dict(passwords)
        self._clock = clock
        self._telemetry = telemetry
        self._log = log
        self._locks = {route: DeferredLock() for route in accounts}

    def other_password(self, sms: Sms) -> bool:
        """Whether the password's file holds another one than the account was given.

        Raises:
            OSError: it cannot be read.
        """
        return self._password(sms) != self._passwords[sms.route]

    def apply(self, sms: Sms, anew: bool) -> Deferred[None]:
        """Go on by these settings; ``anew``: let its binds sign on again, with the password of this moment. Fires when
        all is done; a change that comes meanwhile waits for it.

        Raises:
            OSError: the password cannot be read.
        """
        if anew:
            self._passwords[sms.route] = self._password(sms)
        done = self._locks[sms.route].run(lambda: Deferred.fromCoroutine(self._change(sms, anew)))
        return done.addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        bug(self._log, failure.value, "while an operator's settings were changed")

    async def _change(self, sms: Sms, anew: bool) -> None:
        account, way = self._accounts[sms.route], self._dispatcher.ways[sms.route]
        before = len(account.binds)
        surplus = range(sms.binds, before)
        again = range(min(before, sms.binds)) if anew else range(0)
        self._telemetry.apply({sms.route: sms.binds})
        account.apply(sms, self._passwords[sms.route], self._connect(sms))
        way.apply((sms.window,) * sms.binds, float(sms.rate))
        account.rest((*again, *surplus))
        await self._emptied(sms.route, (*again, *surplus))
        await gatherResults([account.renew(bind) for bind in again])
        await account.drop(len(surplus))

    async def _emptied(self, route: str, binds: Iterable[int]) -> None:
        slots = self._dispatcher.ways[route].slots
        for bind in binds:
            while slots.used_on(bind):
                await deferLater(self._clock, _EVERY, lambda: None)
