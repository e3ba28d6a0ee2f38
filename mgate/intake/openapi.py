"""The OpenAPI 3.1 document of the push API, made from the code that it describes: one source of truth.

``python -m mgate.intake.openapi > docs/openapi.json`` writes it down; the socket serves the same octets, and a test
holds requests and answers to it.
"""

from __future__ import annotations

import sys
from functools import cache
from inspect import cleandoc
from typing import Final

import msgspec

from mgate.intake import request as rules
from mgate.intake.codes import Code
from mgate.intake.lines import LONGEST_LINE
from mgate.intake.numbers import LONGEST
from mgate.intake.preview import LONGEST as LONGEST_PREVIEW
from mgate.intake.preview import PreviewView
from mgate.model.message import CLASS_BY_WORD, MAX_PARTS
from mgate.model.view import MessageView
from mgate.policy.classes import RULES
from mgate.policy.transliteration import TABLES

Schema = dict[str, object]

_ID_PATTERN: Final = "^m[0-9a-hjkmnp-tv-z]{13}$"
_PRINTABLE: Final = r"^[^\u0000-\u001f\u007f]*$"


@cache
def document() -> bytes:
    """The document as JSON, two spaces a level, with a newline at its end."""
    whole = {
        "openapi": "3.1.0",
        "info": {
            "title": "mgate push API",
            "version": "1",
            "description": "Push messages into mgate over its UNIX socket. See docs/push-api.md.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "http://mgate", "description": "HTTP/1.1 over the client's own UNIX socket"}],
        "paths": _paths(),
        "components": {"schemas": _schemas()},
    }
    return msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"


def _paths() -> Schema:
    return {
        "/v1/messages": {"post": _push(), "get": _find()},
        "/v1/messages:batch": {"post": _batch()},
        "/v1/messages/{id}": {"parameters": [_ID], "get": _show(), "delete": _cancel()},
        "/v1/events": {"get": _events()},
        "/v1/events/ack": {"post": _acknowledge()},
        "/v1/preview": {"post": _preview()},
        "/v1/openapi.json": {"get": _describe()},
    }


def _push() -> Schema:
    return {
        "operationId": "push",
        "summary": "Push one message",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _ref("Message"), "examples": {"code": {"value": _EXAMPLE}}}},
        },
        "responses": {
            "202": _answer("Taken: it is on the disk", "Accepted") | _LINKS,
            "200": _answer("Known already, with the same content: the same id again", "Accepted") | _LINKS,
            **_errors(400, 403, 408, 409, 413, 422, 429, 503),
        },
    }


def _batch() -> Schema:
    return {
        "operationId": "pushBatch",
        "summary": "Push many messages, one a line, and read the results while sending",
        "requestBody": {
            "required": False,
            "description": f"Message objects, one a line (NDJSON), each of at most {LONGEST_LINE} octets; endless if "
            "you like. Blank lines are skipped and keep a quiet stream open.",
            "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
        },
        "responses": {
            "200": {
                "description": "One BatchResult a line, in the order of the lines, each after its own commit",
                "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
            },
            **_errors(400, 408, 503, 505),
        },
    }


def _find() -> Schema:
    ref: Schema = {
        "name": "ref",
        "in": "query",
        "required": True,
        "schema": {"type": "string", "minLength": 1},
    }
    found: Schema = {
        "type": "object",
        "required": ["messages"],
        "additionalProperties": False,
        "properties": {"messages": {"type": "array", "items": _ref("MessageView")}},
    }
    return {
        "operationId": "find",
        "summary": "Find your message by its ref",
        "parameters": [ref],
        "responses": {"200": _json("The messages with this ref: none or one", found), **_errors(422)},
    }


def _show() -> Schema:
    return {
        "operationId": "show",
        "summary": "Where a message stands, and its whole story",
        "responses": {"200": _answer("The message", "MessageView"), **_errors(404)},
    }


def _cancel() -> Schema:
    return {
        "operationId": "cancel",
        "summary": "Cancel what has not left",
        "responses": {
            "200": _answer("Cancelled, now or earlier", "Cancelled"),
            **_errors(404, 409, 503),
        },
    }


def _events() -> Schema:
    lines = {"schema": {"type": "string", "description": "One FeedEvent a line, in order"}}
    place = {_PLACE: {"schema": _CURSOR, "description": "The place up to which the journal was looked through"}}
    return {
        "operationId": "events",
        "summary": "What became of your messages, in order; waits for more when nothing is new",
        "parameters": [
            {"name": "feed", "in": "query", "schema": {**_FEED, "default": "default"}},
            {"name": "after", "in": "query", "schema": _CURSOR, "description": "Unsaid: the acknowledged cursor"},
            {"name": "wait", "in": "query", "schema": _whole(0, 60, 0), "description": "Seconds"},
            {"name": "limit", "in": "query", "schema": _whole(1, 5_000, 1_000), "description": "Events"},
        ],
        "responses": {
            "200": {"description": "Events", "headers": place, "content": {"application/x-ndjson": lines}},
            "204": {"description": "Nothing is new", "headers": place},
            **_errors(400, 409, 422, 503),
            "410": {
                **_answer(f"`{Code.EVENTS_GONE.word}`: {Code.EVENTS_GONE.sentence}", "EventsGone"),
                "headers": place,
            },
        },
    }


def _acknowledge() -> Schema:
    ack = _object({"feed": {**_FEED, "default": "default"}, "cursor": _CURSOR}, ["cursor"])
    return {
        "operationId": "acknowledge",
        "summary": "Make a feed's cursor durable",
        "requestBody": {"required": True, "content": {"application/json": {"schema": ack}}},
        "responses": {
            "200": _json("The durable cursor", _object({"feed": _FEED, "cursor": _CURSOR}, ["feed", "cursor"])),
            **_errors(400, 409, 413, 422, 503),
        },
    }


def _whole(least: int, most: int, unsaid: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most, "default": unsaid}


def _preview() -> Schema:
    asked = _object(
        {
            "text": {"type": "string", "minLength": 1, "maxLength": LONGEST_PREVIEW},
            "class": {"enum": list(CLASS_BY_WORD), "default": "service", "description": "Whose guards and table"},
            "table": {"enum": ["", *TABLES], "default": "", "description": "Of transliteration; unsaid: the class's"},
        },
        ["text"],
    )
    return {
        "operationId": "preview",
        "summary": "What a text will be: alphabet, parts, room left, and what a guard would say; nothing is kept",
        "requestBody": {"required": True, "content": {"application/json": {"schema": asked}}},
        "responses": {"200": _answer("The text on the air", "PreviewView"), **_errors(413, 422)},
    }


def _feed_event() -> Schema:
    text: Schema = {"type": "string"}
    properties: Schema = {
        "cursor": _CURSOR,
        "sequence": {"type": "integer", "minimum": 1},
        "id": _ID_SCHEMA,
        "ref": text,
        "event": text,
        "reason": {"type": "string", "description": "Empty when there is none"},
        "may_have_been_sent": {"type": "boolean"},
        "time": {"type": "string", "format": "date-time"},
        "parts": {"type": "integer", "minimum": 1, "maximum": MAX_PARTS},
        "channel": {"type": "string", "description": "By which it went, or is to go, such as sms; absent if not known"},
        "operator": {"type": "string", "description": "The account of the operator; absent if not known"},
        "meta": {"description": "As you gave it; absent when you gave none"},
    }
    return _object(properties, [name for name in properties if name not in {"channel", "operator", "meta"}])


def _describe() -> Schema:
    return {
        "operationId": "describe",
        "summary": "This document",
        "responses": {"200": _json("OpenAPI 3.1", {"type": "object"})},
    }


def _schemas() -> Schema:
    _, views = msgspec.json.schema_components([MessageView, PreviewView], ref_template="#/components/schemas/{name}")
    for view in views.values():
        view["description"] = cleandoc(view.get("description", ""))
    return {
        "Message": _message(),
        "Accepted": _accepted({}),
        "BatchResult": _batch_result(),
        "Cancelled": _object({"id": _ID_SCHEMA, "state": {"const": "cancelled"}}, ["id", "state"]),
        "FeedEvent": _feed_event(),
        "EventsGone": _object({**_ERROR, "cursor": _CURSOR}, ["error", "field", "detail", "cursor"]),
        "Error": _object(_ERROR, ["error", "field", "detail"]),
        **views,
    }


def _message() -> Schema:
    lives = ", ".join(f"{traffic.word} {row.life:.0f} s" for traffic, row in RULES.items())
    moment: Schema = {"type": "string", "format": "date-time", "pattern": f"^{rules.MOMENT}$"}
    seconds: Schema = {"type": "integer", "minimum": 1, "maximum": rules.LONGEST_LIFE}
    tag: Schema = {"type": "string", "pattern": f"^{rules.TAG}$"}
    properties: Schema = {
        "ref": _text("Your own reference; the same ref again is the same message", rules.LONGEST_REF),
        "to": _text("The number: E.164, or as the client's default country writes it", LONGEST, ""),
        "class": {"enum": list(CLASS_BY_WORD)},
        "text": {"type": "string", "minLength": 1, "description": f"What is read; at most {MAX_PARTS} parts"},
        "sender": _text("Required unless the client has a default sender", 16, f"^({rules.SENDER})$"),
        "valid_for": seconds | {"description": f"Life in seconds, from not_before if that is later. Unsaid: {lives}"},
        "not_after": moment | {"description": "The end of its life, instead of valid_for"},
        "not_before": moment | {"description": "It does not leave before; 180 days ahead at most"},
        "group": _text("Newer messages of the same group and number cancel unsent older ones", rules.LONGEST_GROUP),
        "tags": {"type": "array", "maxItems": rules.MOST_TAGS, "items": tag},
        "meta": {
            "not": {"type": "null"},
            "description": f"Any JSON of yours, at most {rules.LARGEST_META} octets; sealed, given back in events",
        },
    }
    assert tuple(properties) == rules.FIELDS  # noqa: S101  # a field that is not described would be found here
    return {
        **_object(properties, ["ref", "to", "class", "text"]),
        "not": {"required": ["valid_for", "not_after"]},
    }


def _accepted(more: Schema) -> Schema:
    properties: Schema = {
        **more,
        "id": _ID_SCHEMA,
        "ref": {"type": "string"},
        "state": {"const": "accepted"},
        "parts": {"type": "integer", "minimum": 1, "maximum": MAX_PARTS},
        "duplicate": {"const": True},
    }
    return _object(properties, [*more, "id", "ref", "state", "parts"])


def _batch_result() -> Schema:
    line: Schema = {"line": {"type": "integer", "minimum": 1, "description": "Counted from 1, blank lines too"}}
    refused: Schema = {
        **line,
        "ref": {"type": "string", "description": "Absent when none could be read"},
        **_ERROR,
        "retry_after": {"type": "integer", "minimum": 1},
    }
    return {"oneOf": [_accepted(line), _object(refused, ["line", "error", "field", "detail"])]}


def _object(properties: Schema, required: list[str]) -> Schema:
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


def _text(description: str, longest: int, pattern: str = _PRINTABLE) -> Schema:
    schema: Schema = {"type": "string", "description": description, "minLength": 1, "maxLength": longest}
    return schema | {"pattern": pattern} if pattern else schema


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _answer(description: str, name: str) -> Schema:
    return _json(description, _ref(name))


def _errors(*statuses: int) -> Schema:
    found: Schema = {}
    for status in statuses:
        codes = [code for code in Code if code.status == status]
        described = "; ".join(f"`{code.word}`: {code.sentence}" for code in codes)
        answer = _answer(described, "Error")
        if status in {429, 503}:
            answer["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}}
        found[str(status)] = answer
    return found


_EXAMPLE: Final[Schema] = {
    "ref": "core-482913", "to": "+375291110001", "class": "otp", "text": "Code 482913", "sender": "ExampleBank",
}  # fmt: skip
_BY_ID: Final[Schema] = {"id": "$response.body#/id"}
_LINKS: Final[Schema] = {
    "links": {
        "show": {"operationId": "show", "parameters": _BY_ID},
        "cancel": {"operationId": "cancel", "parameters": _BY_ID},
        "find": {"operationId": "find", "parameters": {"ref": "$response.body#/ref"}},
    }
}
_ID_SCHEMA: Final[Schema] = {"type": "string", "pattern": _ID_PATTERN}
_ID: Final[Schema] = {"name": "id", "in": "path", "required": True, "schema": _ID_SCHEMA}
_CURSOR: Final[Schema] = {"type": "string", "minLength": 18, "maxLength": 33, "description": "Opaque"}
_FEED: Final[Schema] = {"type": "string", "pattern": "^[a-z0-9_-]{1,32}$"}
_PLACE: Final = "Mgate-Cursor"
_ERROR: Final[Schema] = {
    "error": {"enum": [code.word for code in Code]},
    "field": {"type": "string", "description": "The field at fault; empty when none is"},
    "detail": {"type": "string", "description": "For people; it may change"},
}


if __name__ == "__main__":
    sys.stdout.buffer.write(document())
