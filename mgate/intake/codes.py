"""Every error code that a client can be told: a closed list. ``docs/push-api.md`` and the OpenAPI document show it.

A program decides by the code, never by the sentence. A code keeps its meaning for ever; a new fault gets a new code.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from mgate.model.ports import Refusal


class CodeRow(NamedTuple):
    """One code: the word, the HTTP status that goes with it, and what it means in one sentence."""

    word: str
    status: int
    sentence: str


class Code(Enum):
    """The codes, by where they come from."""

    # What was sent is not one JSON object as we read it.
    BAD_UTF8 = CodeRow("bad_utf8", 422, "the octets are not UTF-8")
    BAD_JSON = CodeRow("bad_json", 422, "this is not one JSON object")
    TOO_DEEP = CodeRow("too_deep", 422, "the JSON is nested more than 8 deep")
    DUPLICATE_KEY = CodeRow("duplicate_key", 422, "a key appears twice in one object")
    LONE_SURROGATE = CodeRow("lone_surrogate", 422, "half of a surrogate pair stands alone in a string")
    NUL = CodeRow("nul", 422, "a string contains the character NUL")

    # A field is not as it must be; `field` names it.
    UNKNOWN_FIELD = CodeRow("unknown_field", 422, "there is no such field")
    MISSING = CodeRow("missing", 422, "the field is required")
    WRONG_TYPE = CodeRow("wrong_type", 422, "the value is of another JSON type; leave out what you do not say")
    EMPTY = CodeRow("empty", 422, "the value is empty")
    TOO_LONG = CodeRow("too_long", 422, "the value is longer than the field may be")
    TOO_MANY = CodeRow("too_many", 422, "the list has more items than it may have")
    BAD_VALUE = CodeRow("bad_value", 422, "the value is not one that the field may have")
    OUT_OF_RANGE = CodeRow("out_of_range", 422, "the number or the moment is outside its range")
    CONTRADICTION = CodeRow("contradiction", 422, "two fields contradict each other; `field` names the second")

    # The number.
    NOT_A_NUMBER = CodeRow("not_a_number", 422, "this cannot be read as a phone number")
    NUMBER_NOT_POSSIBLE = CodeRow("number_not_possible", 422, "no mobile number of that country has so many digits")
    COUNTRY_UNKNOWN = CodeRow("country_unknown", 422, "a national number, and this client has no default country")

    # What this client may not do.
    CLASS_NOT_ALLOWED = CodeRow("class_not_allowed", 403, "this client may not send messages of that class")
    SENDER_NOT_ALLOWED = CodeRow("sender_not_allowed", 403, "this client may not use that sender")
    NO_ROUTE = CodeRow("no_route", 403, "no operator account may send this class, sender and text")

    # What a guard holds back (docs/guards.md).
    PAN_IN_TEXT = CodeRow("pan_in_text", 422, "the text holds what reads like the number of a card")
    LINK_NOT_ALLOWED = CodeRow("link_not_allowed", 422, "the text has a link that its class may not have")
    CONTROL_CHARACTER = CodeRow("control_character", 422, "the text has a control character that is no line end")
    INVISIBLE_CHARACTER = CodeRow("invisible_character", 422, "the text has a character that cannot be seen")
    DIRECTION_CHARACTER = CodeRow("direction_character", 422, "the text has a character that turns the order of others")
    MIXED_SCRIPTS = CodeRow("mixed_scripts", 422, "a word of the text mixes letters that look alike")
    QUIET_HOURS = CodeRow("quiet_hours", 422, "its life ends before the hours in which its class may leave")
    COUNTRY_NOT_ALLOWED = CodeRow("country_not_allowed", 403, "numbers of that country may not be written to")
    TOO_FREQUENT = CodeRow("too_frequent", 403, "the number has had as many messages of that class as it may have")
    FLOOD = CodeRow("flood", 403, "too many messages to one number within an hour")
    RANGE_BLOCKED = CodeRow("range_blocked", 403, "that range of numbers gets so many codes that it is blocked")
    NO_DUTY_NUMBER = CodeRow("no_duty_number", 403, "mgatectl may send to duty numbers only")

    # The message, as it stands.
    REF_CONFLICT = CodeRow("ref_conflict", 409, "the ref is known, with other content")
    UNKNOWN_MESSAGE = CodeRow("unknown_message", 404, "this client has no such message")
    LEAVING = CodeRow("leaving", 409, "too late to cancel: it is being sent")
    LEFT = CodeRow("left", 409, "too late to cancel: the operator has taken it")
    MAY_HAVE_LEFT = CodeRow("may_have_left", 409, "too late to be sure: it may have been sent; it will not be repeated")
    ENDED = CodeRow("ended", 409, "nothing to cancel: it has ended")

    # A feed's cursor.
    BAD_CURSOR = CodeRow("bad_cursor", 400, "this is no cursor of mgate")
    FOREIGN_CURSOR = CodeRow("foreign_cursor", 409, "the cursor is of another database")
    CURSOR_BEYOND = CodeRow("cursor_beyond", 409, "the cursor is beyond the journal's end")
    TOO_MANY_FEEDS = CodeRow("too_many_feeds", 409, "a client has 16 feeds at most")
    EVENTS_GONE = CodeRow("events_gone", 410, "events behind the cursor are told no more; go on from `cursor`")

    # Not now.
    RATE = CodeRow("rate", 429, "this client sends faster than its rate")
    BUSY = CodeRow("busy", 503, "too much is waiting; try again")
    NOT_KEPT = CodeRow("not_kept", 503, "it could not be written to the disk; nothing was taken")
    STOPPING = CodeRow("stopping", 503, "the service is stopping; nothing was taken")

    # HTTP.
    LINE_TOO_LONG = CodeRow("line_too_long", 413, "the line is longer than 64 KiB and was skipped")
    BAD_REQUEST = CodeRow("bad_request", 400, "this is not HTTP/1.1, or its framing is ambiguous")
    UNKNOWN_PATH = CodeRow("unknown_path", 404, "nothing is served at this path")
    WRONG_METHOD = CodeRow("wrong_method", 405, "the path does not take this method")
    TOO_SLOW = CodeRow("too_slow", 408, "the header or the body did not come in time")
    BODY_TOO_LARGE = CodeRow("body_too_large", 413, "the body is larger than 64 KiB")
    URL_TOO_LONG = CodeRow("url_too_long", 414, "the path and query are longer than 8 KiB")
    EXPECTATION = CodeRow("expectation", 417, "no expectation but 100-continue can be met")
    HEADER_TOO_LARGE = CodeRow("header_too_large", 431, "the header is longer than 16 KiB")
    TOO_MANY_CONNECTIONS = CodeRow("too_many_connections", 503, "too many connections are open")
    HTTP_VERSION = CodeRow("http_version", 505, "only HTTP/1.1 is spoken here, and 1.0 but for batches")

    @property
    def word(self) -> str:
        """The code as it is sent."""
        return self.value.word

    @property
    def status(self) -> int:
        """The HTTP status that goes with it."""
        return self.value.status

    @property
    def sentence(self) -> str:
        """What it means."""
        return self.value.sentence


BY_WORD = {code.word: code for code in Code}


def refusal(code: Code, field: str = "", detail: str = "", retry_after: int = 0) -> Refusal:
    """A refusal with this code; ``detail`` is the code's own sentence when nothing more exact is said."""
    return Refusal(code.status, code.word, field, detail or code.sentence, retry_after)
