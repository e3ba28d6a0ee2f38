"""An operator's profile: all that is peculiar about it, in one TOML file, so that another operator needs no code.

`etc/operators/generic.toml` shows every setting with its default; a test holds the two together. What belongs to the
bank's account with the operator (names, passwords, prices) stands in [sms.NAME] of the configuration, and what is said
there wins. A list that the profile leaves out is empty; a table that it fills adds to the standard one.
"""

from __future__ import annotations

import datetime as dt
from functools import cached_property
from pathlib import Path
from typing import Annotated, Final

import msgspec

from mgate.config.kinds import ListOf, OneOf, Span, Text, Whole
from mgate.config.operator_kinds import Day, Flag, Form, Forms, Several
from mgate.config.statuses import STATUSES
from mgate.model.message import TrafficClass

CLASS_WORDS: Final = tuple(traffic.word for traffic in TrafficClass)
_OWN_LINE: Final = Text(r"[^\x00-\x1f]{0,300}", "a line of up to 300 characters")

FINAL: Final = "final"
LATER: Final = "later"
OTHER_ROUTE: Final = "other_route"
THROTTLED: Final = "throttled"
QUOTA: Final = "quota"
FOREIGN_NETWORK: Final = "foreign_network"
BLOCKED_SUBSCRIBER: Final = "blocked_subscriber"
ERROR_WORDS: Final = (FINAL, LATER, OTHER_ROUTE, THROTTLED, QUOTA, FOREIGN_NETWORK, BLOCKED_SUBSCRIBER)

TOLD_WORDS: Final = ("delivered", "undelivered", "enroute", "unknown")
INBOUND_WORDS: Final = ("gsm7", "gsm7_packed", "ascii", "latin1", "utf8", "ucs2")

STANDARD_ERRORS: Final = {
    **dict.fromkeys(STATUSES.values(), FINAL),
    STATUSES["ESME_RTHROTTLED"]: THROTTLED,
    STATUSES["ESME_RMSGQFUL"]: THROTTLED,
    STATUSES["ESME_RSYSERR"]: THROTTLED,
    STATUSES["ESME_RX_T_APPN"]: LATER,
}
"""What a status means unless the profile says otherwise. Of one that stands nowhere, ``unlisted_error`` decides."""


class Operator(msgspec.Struct, frozen=True, kw_only=True):
    """[operator]: who it is, and how much of the profile is known and how.

    Attributes:
        title: its name, for people.
        sources: where each fact of the file comes from.
        tried_live: when and by whom the profile was tried on the operator itself; empty: not tried live.
        notes: what else is worth knowing, for people only.
    """

    title: Annotated[str, _OWN_LINE] = ""
    sources: Annotated[tuple[str, ...], Several(_OWN_LINE)] = ()
    tried_live: Annotated[str, _OWN_LINE] = ""
    notes: Annotated[tuple[str, ...], Several(_OWN_LINE)] = ()


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """[connection]: where it listens and how it wants to be bound. Times are seconds.

    Attributes:
        hosts, tls_hosts: "host:port", the one to prefer first: without TLS, and with it.
        fail_back: so long the preferred host must have been left alone before it is tried again.
        bind: one ``transceiver``, or a ``pair`` of a transmitter and a receiver.
        session_cap: connections that one account may have; 0: not known.
        version: what the bind says we speak.
        longest_system_id, longest_password, longest_system_type: characters that it takes.
        already_bound_wait: so long it may hold on to a session whose line broke.
        binds, window, rate, system_type, enquire_link, response_limit, reconnect_min, reconnect_max,
            bad_password_wait: as in [sms.NAME], which takes them from here where it says nothing.
    """

    hosts: Annotated[tuple[str, ...], Several(Text(r"[A-Za-z0-9._-]{1,253}:[1-9][0-9]{0,4}", '"host:port"'))] = ()
    tls_hosts: Annotated[tuple[str, ...], Several(Text(r"[A-Za-z0-9._-]{1,253}:[1-9][0-9]{0,4}", '"host:port"'))] = ()
    fail_back: Annotated[float, Span("10s", "1d")] = 600.0
    bind: Annotated[str, OneOf(("transceiver", "pair"))] = "transceiver"
    session_cap: Annotated[int, Whole(0, 1000, "connections, 0 for not known")] = 0
    version: Annotated[str, OneOf(("3.3", "3.4", "5.0"))] = "3.4"
    longest_system_id: Annotated[int, Whole(1, 64)] = 64
    longest_password: Annotated[int, Whole(1, 64)] = 64
    longest_system_type: Annotated[int, Whole(0, 64)] = 64
    already_bound_wait: Annotated[float, Span("1s", "1h")] = 60.0
    binds: Annotated[int, Whole(1, 32)] = 1
    window: Annotated[int, Whole(1, 1000)] = 10
    rate: Annotated[int, Whole(0, 10_000, "PDUs a second, 0 for no limit")] = 0
    system_type: Annotated[str, Text(r"[\x20-\x7e]{0,64}", "up to 64 ASCII characters")] = ""
    enquire_link: Annotated[float, Span("1s", "1h")] = 30.0
    response_limit: Annotated[float, Span("1s", "5m")] = 10.0
    reconnect_min: Annotated[float, Span("1s", "1h")] = 1.0
    reconnect_max: Annotated[float, Span("1s", "1h")] = 60.0
    bad_password_wait: Annotated[float, Span("1s", "1d")] = 300.0


_PREFIX: Final = OneOf(("", "+", "00"))


class Numbers(msgspec.Struct, frozen=True, kw_only=True):
    """[numbers]: how senders and destinations are written (SMPP 3.4, sections 5.2.5 and 5.2.6).

    Attributes:
        name_ton, name_npi: of a sender that is a name; ``longest_name`` characters it may have.
        number_ton, number_npi: of a sender that has a plus sign, or more digits than ``short_digits``.
        short_ton, short_npi: of a sender with up to ``short_digits`` digits.
        sender_prefix, to_prefix: what stands before the digits of an international number.
        to_ton, to_npi: of destinations; to_shortest, to_longest: how many digits, with the prefix, one may have.
    """

    name_ton: Annotated[int, Whole(0, 7)] = 5
    name_npi: Annotated[int, Whole(0, 18)] = 0
    longest_name: Annotated[int, Whole(1, 20)] = 11
    number_ton: Annotated[int, Whole(0, 7)] = 1
    number_npi: Annotated[int, Whole(0, 18)] = 1
    short_ton: Annotated[int, Whole(0, 7)] = 3
    short_npi: Annotated[int, Whole(0, 18)] = 0
    short_digits: Annotated[int, Whole(0, 15)] = 8
    sender_prefix: Annotated[str, _PREFIX] = ""
    to_ton: Annotated[int, Whole(0, 7)] = 1
    to_npi: Annotated[int, Whole(0, 18)] = 1
    to_prefix: Annotated[str, _PREFIX] = ""
    to_shortest: Annotated[int, Whole(1, 20)] = 1
    to_longest: Annotated[int, Whole(1, 20)] = 20


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """[text]: how a text becomes octets, and how those of a customer are read.

    Attributes:
        alphabet: how a text of the GSM alphabet is written; ``coding``: the data_coding that says it.
        ucs2_coding: the data_coding of any other text, which is written as UCS-2.
        concatenation: how the parts of one text are tied: a header with a reference of 16 or 8 bits (3GPP TS 23.040,
            9.2.3.24), or the sar TLVs of SMPP.
        field: where the octets stand.
        flash: how a text is sent that shows itself: by the class in data_coding (0x10 and 0x18), by data_coding 0xF0,
            or by the TLV dest_addr_subunit.
        inbound: what a data_coding of theirs means, where it differs from SMPP 3.4 section 5.2.19: [text.inbound].
    """

    alphabet: Annotated[str, OneOf(("gsm7", "gsm7_packed", "ascii", "latin1", "utf8"))] = "gsm7"
    coding: Annotated[int, Whole(0, 255)] = 0
    ucs2_coding: Annotated[int, Whole(0, 255)] = 8
    concatenation: Annotated[str, OneOf(("udh16", "udh8", "sar"))] = "udh16"
    field: Annotated[str, OneOf(("short_message", "message_payload"))] = "short_message"
    flash: Annotated[str, OneOf(("class", "coding_f0", "subunit"))] = "class"
    inbound: tuple[tuple[int, str], ...] = ()


class Submit(msgspec.Struct, frozen=True, kw_only=True):
    """[submit]: the other fields of a submit_sm. The schedule is always empty: mgate itself holds what is to go later.

    Attributes:
        validity: the form of validity_period (section 7.1.1), or ``none`` to leave it empty.
        longest_validity: no more is asked for, seconds.
        validity_zone: the offset that an absolute time is written in.
        registered_delivery: the octet of section 5.2.17; 1 asks for every final receipt.
        reference: whether each submit bears the TLV user_message_reference, which saves receipts whose answer was lost.
    """

    validity: Annotated[str, OneOf(("relative", "absolute", "none"))] = "relative"
    longest_validity: Annotated[float, Span("1m", "30d")] = 30 * 86_400.0
    validity_zone: Annotated[
        str, Text(r"[+-](0[0-9]|1[01]):(00|15|30|45)", 'an offset in quarter hours such as "+00:00" or "-05:30"')
    ] = "+00:00"
    service_type: Annotated[str, Text(r"[\x21-\x7e]{0,5}", "up to 5 ASCII characters")] = ""
    protocol_id: Annotated[int, Whole(0, 255)] = 0
    priority: Annotated[int, Whole(0, 3)] = 0
    registered_delivery: Annotated[int, Whole(0, 31)] = 1
    reference: Annotated[bool, Flag()] = True


class Receipts(msgspec.Struct, frozen=True, kw_only=True):
    """[receipts]: how it tells what became of a message.

    Attributes:
        dialect: the text of appendix B and TLVs (``standard``), TLVs only (``tlv``), or the ``forms`` below (``own``).
        forms: how its texts read, for ``own``.
        ids: how the id of a receipt is written, when that of the response was the other; ``learn``: found out from
            matches that only one pairing explains.
        per_part: which parts of a long text get a receipt.
        per_part_wait: so long the others are waited for.
        unflagged: whether a receipt may come without any mark, as a plain message: only when its text reads as one and
            its id is known.
        states: what words of theirs mean, beside the standard ones: [receipts.states].
    """

    dialect: Annotated[str, OneOf(("standard", "tlv", "own"))] = "standard"
    forms: Annotated[tuple[Form, ...], Forms()] = ()
    ids: Annotated[str, OneOf(("learn", "same", "hex_then_decimal", "decimal_then_hex"))] = "learn"
    per_part: Annotated[str, OneOf(("all", "first", "last"))] = "all"
    per_part_wait: Annotated[float, Span("1s", "7d")] = 600.0
    unflagged: Annotated[bool, Flag()] = False
    states: tuple[tuple[str, str], ...] = ()


class Quirks(msgspec.Struct, frozen=True, kw_only=True):
    """[quirks]: what is forgiven.

    Attributes:
        already_bound_is_bound: its answer "already bound" means that the bind works.
    """

    already_bound_is_bound: Annotated[bool, Flag()] = False


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """[[senders]]: a sender that the operator has registered for us.

    Attributes:
        sender: as messages name it.
        classes: the classes that it may be used for.
        texts: the approved texts, ``*`` stands for any characters; empty: any text.
        until: the last day of the registration; None: it has no end.
    """

    sender: Annotated[str, Text(r"[\x20-\x7e]{1,21}", "a sender of 1 to 21 ASCII characters")]
    classes: Annotated[tuple[str, ...], ListOf(OneOf(CLASS_WORDS))] = CLASS_WORDS
    texts: Annotated[tuple[str, ...], Several(Text(r"(?s:.{1,2000})", "a text of 1 to 2000 characters"))] = ()
    until: Annotated[dt.date | None, Day()] = None


class Profile(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One operator.

    Attributes:
        file: where it was read; None: the one that mgate has within, ``generic``.
        errors: what its statuses mean beside `STANDARD_ERRORS`: status and a word of `ERROR_WORDS`.
        unlisted_error: what a status means that stands in neither; surely not sent, it may be tried again.
        senders: the register; empty: any sender may be used.
    """

    file: Path | None = None
    operator: Operator = Operator()
    connection: Connection = Connection()
    numbers: Numbers = Numbers()
    text: Body = Body()
    submit: Submit = Submit()
    errors: tuple[tuple[int, str], ...] = ()
    unlisted_error: str = LATER
    receipts: Receipts = Receipts()
    quirks: Quirks = Quirks()
    senders: tuple[Registered, ...] = ()

    @property
    def name(self) -> str:
        """What it is called: its file's name without ``.toml``."""
        return self.file.stem if self.file is not None else "generic"

    @cached_property
    def meanings(self) -> dict[int, str]:
        """What every listed status means."""
        return STANDARD_ERRORS | dict(self.errors)

    def meaning(self, status: int) -> str:
        """What a status other than 0 means: a word of `ERROR_WORDS`."""
        return self.meanings.get(status, self.unlisted_error)

    @cached_property
    def _register(self) -> dict[tuple[str, str], list[Registered]]:
        found: dict[tuple[str, str], list[Registered]] = {}
        for entry in self.senders:
            for word in entry.classes:
                found.setdefault((entry.sender, word), []).append(entry)
        return found

    def allows(self, sender: str, traffic: TrafficClass, text: str, day: dt.date) -> str:
        """Why the operator would not take this sender with this text on this day; empty when it would.

        The words: ``sender_not_registered``, ``class_not_registered``, ``registration_ended``, ``text_not_approved``.
        """
        if not self.senders:
            return ""
        entries = self._register.get((sender, traffic.word))
        if entries is None:
            known = any(entry.sender == sender for entry in self.senders)
            return "class_not_registered" if known else "sender_not_registered"
        live = [entry for entry in entries if entry.until is None or day <= entry.until]
        if not live:
            return "registration_ended"
        if any(not entry.texts or any(fits(pattern, text) for pattern in entry.texts) for entry in live):
            return ""
        return "text_not_approved"

    def ending(self, day: dt.date, days: int = 30) -> tuple[Registered, ...]:
        """The registrations that have ended or end within so many days."""
        last = day + dt.timedelta(days)
        return tuple(entry for entry in self.senders if entry.until is not None and entry.until <= last)


def fits(pattern: str, text: str) -> bool:
    """Whether a text fits a pattern in which ``*`` stands for any characters, in time linear in both for each star."""
    first, *others = pattern.split("*")
    if not others:
        return pattern == text
    if not text.startswith(first):
        return False
    at, last = len(first), others.pop()
    for piece in others:
        found = text.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return len(text) - len(last) >= at and text.endswith(last)


GENERIC: Final = Profile()
"""The profile of an operator that has none: SMPP 3.4 by the letter, and receipts as most write them."""
