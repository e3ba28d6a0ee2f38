"""An operator's profile in words, for who has to trust it: what mgate will do, a sentence each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Final

from mgate.config import show_span
from mgate.config.operators import GENERIC, Connection, Profile, Receipts, Registered
from mgate.config.statuses import show_status

_ALPHABETS: Final = {
    "gsm7": "the GSM alphabet, a septet in an octet",
    "gsm7_packed": "the GSM alphabet, packed",
    "ascii": "ASCII",
    "latin1": "Latin-1",
    "utf8": "UTF-8",
    "ucs2": "UCS-2",
}
_TIES: Final = {
    "udh16": "by a header with a reference of 16 bits",
    "udh8": "by a header with a reference of 8 bits",
    "sar": "by the sar TLVs",
}
_DIALECTS: Final = {
    "standard": 'Receipts read as "id:... stat:... err:...", and by their TLVs, which count more.',
    "tlv": "Receipts are read by their TLVs only; their text is not looked at.",
}
_IDS: Final = {
    "learn": "How it writes the ids of receipts is learnt from matches.",
    "same": "A receipt has the id of its response.",
    "hex_then_decimal": "A receipt has the id of its response in decimal; the response's is hexadecimal.",
    "decimal_then_hex": "A receipt has the id of its response in hexadecimal; the response's is decimal.",
}
_MEANS: Final = {
    "final": "ends the message",
    "later": "has it tried again later",
    "throttled": "slows the bind down",
    "other_route": "sends it to another operator",
    "quota": "means that the account's allowance is used up",
    "foreign_network": "means a number of a network that it does not serve",
    "blocked_subscriber": "means that the customer blocks us there",
}


def in_words(profile: Profile, day: dt.date) -> Iterator[tuple[str, str]]:
    """What the profile says: a heading and a sentence each. ``day``: today, for what ends."""
    operator = profile.operator
    yield "profile", f"{profile.name}: {operator.title or 'no title'}"
    tried = f"Tried live: {operator.tried_live}." if operator.tried_live else "Not tried live."
    yield "", tried
    for source in operator.sources:
        yield "", f"From: {source}"
    for note in operator.notes:
        yield "", note
    yield from _headed("connection", _connection(profile.connection))
    yield from _headed("numbers", _numbers(profile))
    yield from _headed("text", _text(profile))
    yield from _headed("submit", _submit(profile))
    yield from _headed("errors", _errors(profile))
    yield from _headed("receipts", _receipts(profile.receipts))
    yield from _headed("senders", (_registered(entry, day) for entry in profile.senders))
    if not profile.senders:
        yield "senders", "Any sender may be used."


def _headed(heading: str, sentences: Iterator[str]) -> Iterator[tuple[str, str]]:
    for number, sentence in enumerate(sentences):
        yield "" if number else heading, sentence


def _connection(connection: Connection) -> Iterator[str]:
    if connection.hosts:
        yield f"Hosts without TLS, the first preferred: {', '.join(connection.hosts)}."
    if connection.tls_hosts:
        yield f"Hosts with TLS, the first preferred: {', '.join(connection.tls_hosts)}."
    cap = f", of which one account may have {connection.session_cap}" if connection.session_cap else ""
    yield f"{_count(connection.binds, 'bind')} ({connection.bind}){cap}; {connection.window} submits open on each."
    yield f"At most {connection.rate} PDUs a second." if connection.rate else "No limit of PDUs a second."
    yield (
        f"Binds speak SMPP {connection.version}; after {show_span(connection.enquire_link)} of silence a sign of life"
        f" is asked for, and an answer that takes {show_span(connection.response_limit)} is taken for lost."
    )


def _numbers(profile: Profile) -> Iterator[str]:
    numbers = profile.numbers
    yield (
        f"Senders: a name of up to {numbers.longest_name} characters as {numbers.name_ton}/{numbers.name_npi}, a number"
        f" as {numbers.number_ton}/{numbers.number_npi}{_prefix(numbers.sender_prefix)}, up to {numbers.short_digits}"
        f" digits as {numbers.short_ton}/{numbers.short_npi}."
    )
    lengths = "" if (numbers.to_shortest, numbers.to_longest) == (1, 20) else (
        f", {numbers.to_shortest} to {numbers.to_longest} characters"
    )  # fmt: skip
    yield f"Destinations: as {numbers.to_ton}/{numbers.to_npi}{_prefix(numbers.to_prefix)}{lengths}."


def _text(profile: Profile) -> Iterator[str]:
    body = profile.text
    yield (
        f"Texts go out in {_ALPHABETS[body.alphabet]} (data_coding {body.coding}), others in UCS-2"
        f" (data_coding {body.ucs2_coding}), in {body.field}."
    )
    yield f"Parts are tied {_TIES[body.concatenation]}."
    for coding, alphabet in body.inbound:
        yield f"Its data_coding {coding} is read as {_ALPHABETS[alphabet]}."


def _submit(profile: Profile) -> Iterator[str]:
    submit = profile.submit
    if submit.validity == "none":
        yield "The end of a message's life is not said."
    else:
        zone = f" ({submit.validity_zone})" if submit.validity == "absolute" else ""
        yield f"The end of a message's life is {submit.validity}{zone}, at most {show_span(submit.longest_validity)}."
    if not submit.reference:
        yield "Submits bear no user_message_reference: a receipt whose answer was lost stays unmatched."
    if submit.registered_delivery != GENERIC.submit.registered_delivery:
        yield f"registered_delivery is {submit.registered_delivery}."


def _errors(profile: Profile) -> Iterator[str]:
    for status, word in profile.errors:
        yield f"{show_status(status)} {_MEANS[word]}."
    yield f"A status that nobody lists {_MEANS[profile.unlisted_error]}."


def _receipts(receipts: Receipts) -> Iterator[str]:
    yield _DIALECTS.get(receipts.dialect, "Receipts read by forms of its own:")
    for form in receipts.forms:
        yield f"  {form.text}"
    yield _IDS[receipts.ids]
    if receipts.unflagged:
        yield "A message without any mark is taken for a receipt when its text reads as one."
    if receipts.states:
        yield "Its words: " + ", ".join(f"{word} is {told}" for word, told in receipts.states) + "."


def _registered(entry: Registered, day: dt.date) -> str:
    texts = f", {_count(len(entry.texts), 'approved text')}" if entry.texts else ", any text"
    until = f", until {entry.until} ({(entry.until - day).days} days left)" if entry.until else ", without an end"
    return f"{entry.sender}: {', '.join(entry.classes)}{texts}{until}."


def _prefix(prefix: str) -> str:
    return f' with "{prefix}" before it' if prefix else ""


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
