"""[webhooks.NAME]: a place of the bank's that is called with the events of one client, over mutual TLS, signed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import msgspec

from mgate.config.kinds import Place, Span, Text, Whole
from mgate.config.tls import unknown

_NAME: Final = Text("[a-z0-9][a-z0-9-]{0,31}", "a name of 1 to 32 small letters, digits and hyphens")
_URL: Final = Text(
    r"https://(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[1-9][0-9]{0,4})?(?:[/?][A-Za-z0-9/?._~!$&'()*+,;=:@%-]*)?",
    'a URL that begins with https://, without a user, a password or a fragment, such as "https://crm.bank.example/sms"',
)


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """[webhooks.NAME]: one place that is called.

    Attributes:
        name: NAME.
        client: whose events: a push client, a source or a drop.
        url: what is posted to. ``tls``: the section [tls.NAME] with our certificate and the authority of the server's.
        secret_file: a file with the shared secret that requests are signed with, one line of at least 16 characters.
        batch: events in a request at most. ``limit``: seconds that an answer is waited for.
        retry_for: an event that could not be told for so long is given up, and put on the list of the dead.
    """

    name: str
    client: Annotated[str, _NAME]
    url: Annotated[str, _URL]
    tls: Annotated[str, _NAME]
    secret_file: Annotated[Path, Place()]
    batch: Annotated[int, Whole(1, 5_000, "events")] = 500
    limit: Annotated[float, Span("1s", "2m")] = 10.0
    retry_for: Annotated[float, Span("1h", "30d")] = 3 * 86_400.0


class Wrong(NamedTuple):
    """A mistake: section, key and sentence."""

    section: str
    key: str
    problem: str


def mistakes_of(
    webhooks: Sequence[Webhook], clients: Collection[str], identities: Mapping[str, object], journal_days: int
) -> Iterator[Wrong]:
    """What no setting of a webhook shows by itself.

    Args:
        clients: whose events there are. ``identities``: the sections [tls.NAME] by their names.
        journal_days: how long events are kept.
    """
    for each in webhooks:
        section = f"webhooks.{each.name}"
        if each.client not in clients:
            known = ", ".join(f'"{client}"' for client in clients)
            yield Wrong(section, "client", f'"{each.client}" is no client; there are: {known}')
        problem = unknown(each.tls, identities, shows=True)
        if problem is not None:
            yield Wrong(section, "tls", problem)
        if each.retry_for > journal_days * 86_400.0:
            yield Wrong(section, "retry_for", f"is longer than events are kept: [spool] journal_days is {journal_days}")
