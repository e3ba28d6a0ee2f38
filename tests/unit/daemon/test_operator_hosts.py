"""Which hosts an account has, by its settings and its operator's profile."""

from __future__ import annotations

from typing import cast

import msgspec
from twisted.internet import reactor
from twisted.internet.asyncioreactor import AsyncioSelectorReactor

from mgate.config.operators import GENERIC, Connection, Profile
from mgate.config.tree import Sms
from mgate.daemon.hosts import OperatorHosts
from mgate.daemon.identities import Identities

PROFILE = msgspec.structs.replace(
    GENERIC, connection=Connection(hosts=("a.example:2775", "b.example:2776"), fail_back=60.0)
)


def account(profile: Profile, host: str, port: int) -> Sms:
    given = {"name": "op-a", "system_id": "example", "plain_tcp": "a test", "password_file": "unused"}
    return Sms(host=host, port=port, profile=profile, **given)  # type: ignore[arg-type]  # a test's settings


def made() -> OperatorHosts:
    # Nobody connects here, and without TLS nobody asks for an identity.
    return OperatorHosts(cast("Identities", None), cast("AsyncioSelectorReactor", reactor))


def test_an_account_that_goes_by_its_profile_has_all_its_hosts_in_order() -> None:
    hosts = made().of(account(PROFILE, "a.example", 2775))
    assert [hosts[0].name, hosts[1].name] == ["a.example:2775", "b.example:2776"]
    hosts.failed(0, 100.0)
    assert [hosts.best(101.0), hosts.best(160.0)] == [1, 0]


def test_an_account_that_names_its_own_host_has_that_one_only() -> None:
    hosts = made().of(account(PROFILE, "c.example", 2775))
    assert hosts[0].name == "c.example:2775"
    hosts.failed(0, 100.0)
    assert hosts.best(101.0) == 0


def test_two_accounts_of_one_host_share_its_spacing() -> None:
    all_hosts = made()
    one, two = all_hosts.of(account(PROFILE, "a.example", 2775)), all_hosts.of(account(GENERIC, "b.example", 2776))
    assert one[1].spacing is two[0].spacing
    assert one[0].spacing is not one[1].spacing
