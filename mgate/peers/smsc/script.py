"""The operator's script: one frozen tree read from TOML. Unknown keys are refused with the nearest known one.

All times are seconds; a time may be one number or a range `[least, most]`, drawn evenly. All shares are 0.0 to 1.0.
`etc/smsc/` has scripts with comments.
"""

import difflib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from mgate.channels.smpp.pdu import status_name

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0.0)]
# Bounds inside this union would crash the interpreter (msgspec 0.22.0 loses count of them beside a fixed tuple): they
# are checked in `_wrong`.
Span = float | tuple[float, float]
Port = Annotated[int, Meta(ge=0, le=65535)]
IdForm = Literal["decimal", "hex", "hex-upper", "padded", "padded-hex", "uuid", "uuid-upper"]
State = Literal["DELIVRD", "UNDELIV", "EXPIRED", "REJECTD", "DELETED", "UNKNOWN", "ACCEPTD", "ENROUTE"]
Oddity = Literal["unknown-command", "nack-zero", "stray-response", "alert", "vendor-tlv", "cut-tlv", "bad-length"]

_STATUS_BY_NAME: Final = {status_name(n): n for n in range(0x500)}


class ScriptError(Exception):
    """The script cannot be used; each line says which file, which key, and what is allowed."""


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the script."""


class Account(Section, frozen=True):
    """Who may bind. An empty password accepts any; `sessions` 0 is no cap."""

    system_id: str = "mgate"
    password: str = ""
    sessions: Count = 0


class Latency(Section, frozen=True):
    """How long answers take."""

    submit: Span = 0.0
    bind: Span = 0.0


class Ids(Section, frozen=True):
    """How message ids are written in the response and in the receipt.

    `start` 0 begins at the clock's microseconds, so that a restarted operator does not give an id twice; `wide` adds
    2^64; `width` is that of the padded forms; `empty` is the share of responses without an id.
    """

    response: IdForm = "decimal"
    receipt: IdForm = "decimal"
    start: Count = 0
    wide: bool = False
    width: Count = 20
    empty: Share = 0.0


class Receipts(Section, frozen=True):
    """Delivery receipts: sent when asked for (`always`: to all), until deliver_sm_resp says ok, on any bind.

    `states` shares out the final states; `before_response`, `other_bind`, `duplicates`, `intermediates`, `none` are
    shares of messages; `parts` says which part of a long message gets one; `reference` returns user_message_reference;
    `retry` is the pause before a receipt that was refused or not answered goes out again; `window` is the most that are
    unanswered on one bind.
    """

    on: bool = True
    always: bool = False
    delay: Span = 0.1
    states: dict[State, Share] = msgspec.field(default_factory=lambda: {"DELIVRD": 1.0})
    dialect: Literal["text", "tlv", "both"] = "both"
    parts: Literal["all", "first", "last"] = "all"
    before_response: Share = 0.0
    other_bind: Share = 0.0
    duplicates: Share = 0.0
    intermediates: Share = 0.0
    none: Share = 0.0
    reference: bool = True
    retry: Seconds = 5.0
    window: Annotated[int, Meta(ge=1)] = 1000


class Throttling(Section, frozen=True):
    """Refusals that another try mends. `rate` is submit_sm a second over all binds, 0 for no limit; `tolerance` is how
    much over it is let through; the others are shares of submits."""

    rate: Seconds = 0.0
    tolerance: Share = 0.1
    queue_full: Share = 0.0
    system_error: Share = 0.0


class Errors(Section, frozen=True):
    """Final refusals: by share of submits, and by the first digits of the number; a status is a name or a number."""

    shares: dict[str, Share] = {}
    prefixes: dict[str, str | int] = {}


class Silence(Section, frozen=True):
    """What is never answered: a share of submits, all submits of a session after so many (0: never), enquire_link.

    A submit without an answer was still taken: its receipt comes unless `receipts` is false.
    """

    submits: Share = 0.0
    after: Count = 0
    receipts: bool = True
    enquire_link: bool = False
    unbind: bool = False


class Disconnects(Section, frozen=True):
    """When a session ends and how: a reset, an orderly close, or unbind. 0 is never; both count from the bind."""

    after: int | tuple[int, int] = 0
    every: Span = 0.0
    how: Literal["reset", "fin", "unbind"] = "reset"


class Binds(Section, frozen=True):
    """Refused binds: the first `refuse_times` of them, and all in the first `refuse_for` seconds. `hold`: a session
    that was lost without unbind counts toward `account.sessions` for so long, and the next bind hears ESME_RALYBND."""

    refuse_status: str | int = "ESME_RBINDFAIL"
    refuse_times: Count = 0
    refuse_for: Seconds = 0.0
    hold: Seconds = 0.0


class Garbage(Section, frozen=True):
    """What no operator should send: outbind at connect; every `every` submits the next of `kinds`; after `bytes_after`
    submits of a session octets that are no SMPP (0: never)."""

    outbind: bool = False
    every: Count = 0
    kinds: tuple[Oddity, ...] = get_args(Oddity)
    bytes_after: Count = 0


class Inbound(Section, frozen=True):
    """Messages from customers: one every so many seconds (0: none) from the next of `numbers`, to `to`."""

    every: Seconds = 0.0
    numbers: tuple[str, ...] = ("375291110001", "375291110002")
    to: str = "1234"
    text: str = "STOP"


class Tls(Section, frozen=True):
    """TLS on the port when `certificate` is set: PEM files, relative to the working folder; with `authority` those who
    call must show a certificate of its."""

    certificate: str = ""
    key_file: str = ""
    authority: str = ""


class Script(Section, frozen=True):
    """The whole script. `order` is that of PDUs which leave in one write; `enquire_every` is our own enquire_link."""

    host: str = "127.0.0.1"
    port: Port = 2775
    seed: int = 1
    order: Literal["kept", "reversed", "shuffled"] = "kept"
    enquire_every: Seconds = 0.0
    tls: Tls = Tls()
    account: Account = Account()
    latency: Latency = Latency()
    ids: Ids = Ids()
    receipts: Receipts = Receipts()
    throttling: Throttling = Throttling()
    errors: Errors = Errors()
    silence: Silence = Silence()
    disconnects: Disconnects = Disconnects()
    binds: Binds = Binds()
    garbage: Garbage = Garbage()
    inbound: Inbound = Inbound()


def status_number(status: str | int) -> int:
    """The number of a status given by name (`ESME_RTHROTTLED`) or number (`0x400`, 1024).

    Raises:
        ScriptError: for a name that SMPP 3.4 (section 5.1.3) does not have, with the nearest that it has.
    """
    if isinstance(status, int):
        return status
    known = _STATUS_BY_NAME.get(status)
    if known is not None:
        return known
    try:
        return int(status, 0)
    except ValueError:
        raise ScriptError(f"{status} is no SMPP status{_nearest(status, _STATUS_BY_NAME)}") from None


def load(path: Path) -> Script:
    """Read a script.

    Raises:
        ScriptError: all that is wrong with it, one line each.
    """
    try:
        return read(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScriptError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ScriptError(f"{path}: is not UTF-8") from error
    except ScriptError as error:
        raise ScriptError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from error


def read(toml: str) -> Script:
    """The script that a TOML text holds; errors as `load`, without the file's name."""
    try:
        tree = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as error:
        raise ScriptError(f"is not TOML: {error}") from error
    unknown = list(_unknown(tree, Script, ""))
    if unknown:
        raise ScriptError("\n".join(unknown))
    try:
        script = msgspec.convert(tree, Script)
    except msgspec.ValidationError as error:
        raise ScriptError(str(error).replace("`$.", "`")) from error
    wrong = list(_wrong(script))
    if wrong:
        raise ScriptError("\n".join(wrong))
    return script


def _unknown(tree: dict[str, object], shape: type[Section], path: str) -> Iterator[str]:
    """One sentence for every key that `shape` does not have, through all tables."""
    fields = {field.name: field.type for field in msgspec.structs.fields(shape)}
    for key, value in tree.items():
        kind = fields.get(key)
        if kind is None:
            yield f"{path}{key} is not known{_nearest(key, fields)}"
        elif isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, Section):
            yield from _unknown(value, kind, f"{path}{key}.")


def _nearest(word: str, known: dict[str, object] | dict[str, int]) -> str:
    close = difflib.get_close_matches(word, known, 1, 0.5)
    return f"; the nearest is {close[0]}" if close else f"; known are {', '.join(sorted(known)[:20])}"


def _wrong(script: Script) -> Iterator[str]:
    """What the types cannot say."""
    receipts = sum(script.receipts.states.values())
    if script.receipts.on and not 0.999 <= receipts <= 1.001:
        yield f"receipts.states: the shares make {receipts:g}, they must make 1"
    refused = sum(script.errors.shares.values()) + script.throttling.queue_full + script.throttling.system_error
    if refused > 1.0:
        yield f"errors.shares, throttling.queue_full and throttling.system_error make {refused:g}, over 1"
    if bool(script.tls.certificate) is not bool(script.tls.key_file):
        yield "tls: certificate and key_file belong together"
    for status in (*script.errors.shares, *script.errors.prefixes.values(), script.binds.refuse_status):
        try:
            status_number(status)
        except ScriptError as error:
            yield str(error)
    spans = {"latency.submit": script.latency.submit, "latency.bind": script.latency.bind}
    spans |= {"receipts.delay": script.receipts.delay, "disconnects.every": script.disconnects.every}
    for key, span in (*spans.items(), ("disconnects.after", script.disconnects.after)):
        least, most = span if isinstance(span, tuple) else (span, span)
        if not 0 <= least <= most:
            yield f"{key}: {least:g} to {most:g} is no range; a range begins at 0 or more and does not run backwards"
