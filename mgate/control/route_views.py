"""What is asked and answered about routes: plain values, whose field names are the API's and those of ``--json``."""

from __future__ import annotations

import msgspec


class RouteAsked(msgspec.Struct, frozen=True, gc=False, rename={"traffic": "class"}):
    """A message that is not sent, only asked about; what the push API has beside these is left out.

    Attributes:
        to: the number, as the client would write it.
        sender: empty for the client's default.
        at: a moment, ISO 8601; in the zone of [routing] where it names none; empty for now.
    """

    to: str
    traffic: str
    sender: str = ""
    tags: tuple[str, ...] = ()
    text: str = ""
    at: str = ""


class RoutesAsked(msgspec.Struct, frozen=True):
    """The body of POST /v1/routes:explain. ``client``: whose messages they would be."""

    messages: tuple[RouteAsked, ...]
    client: str = "local"


class RouteChoice(msgspec.Struct, frozen=True, gc=False):
    """A route that the message may leave by.

    Attributes:
        why: why it has its place: a word of `WORDS`.
        ready: it can take the message now, or is believed to in a moment.
        price, currency: of a part; empty when it is not known.
    """

    route: str
    why: str
    ready: bool
    price: str = ""
    currency: str = ""


class RouteBarred(msgspec.Struct, frozen=True, gc=False):
    """A route that must not have it, and why: a word of `WORDS`."""

    route: str
    why: str


class RouteAnswer(msgspec.Struct, frozen=True, gc=False):
    """Where a message would go.

    Attributes:
        to: the number, masked; ``country``: of it, ISO 3166, empty when it is not known.
        rule: the NAME of [routes.NAME] that decides; empty when there are no rules.
        at: the moment in the bank's zone that was asked about.
        choices: best first; the first one would be taken.
        parts: how many the text has; 1 for none.
        cost: of these parts by the first choice; empty when it is not known.
        wrong: why nothing could be decided; empty when it was.
    """

    to: str
    sender: str = ""
    country: str = ""
    rule: str = ""
    at: str = ""
    choices: tuple[RouteChoice, ...] = ()
    barred: tuple[RouteBarred, ...] = ()
    parts: int = 1
    cost: str = ""
    wrong: str = ""


class RouteAnswers(msgspec.Struct, frozen=True):
    """One answer for each message, in order."""

    answers: tuple[RouteAnswer, ...]


WORDS = {
    "listed": "its place in the rule's list",
    "cost": "what a part costs there",
    "share": "its share of the numbers",
    "bad_quality": "behind: too few of its messages arrive, or too late",
    "no_bind": "behind: it has had no bind for too long",
    "quota": "behind: its operator's quota is used up",
    "maintenance": "behind: a person closed it for a while",
    "foreign_network": "behind: its operator said lately that the number is not in its network",
    "sender_not_registered": "left out: the sender is not registered with its operator",
    "class_not_registered": "left out: the sender is not registered for this class there",
    "registration_ended": "left out: the sender's registration there has ended",
    "text_not_approved": "left out: the text fits none that was approved there",
}
"""What the words mean, for people."""
