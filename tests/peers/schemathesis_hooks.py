"""Loaded by schemathesis, in its own environment: what it cannot know of this API by itself."""

import hashlib
import json
from typing import Any

import schemathesis  # type: ignore[import-not-found]  # it has an environment of its own


@schemathesis.serializer("application/x-ndjson")  # type: ignore[untyped-decorator]  # not there to be seen
def one_object_a_line(context: Any, value: Any) -> bytes:
    """A batch: text as it is; of anything else its JSON as one line."""
    return value.encode() if isinstance(value, str) else json.dumps(value).encode() + b"\n"


@schemathesis.hook  # type: ignore[untyped-decorator]  # not there to be seen
def map_body(context: Any, body: Any) -> Any:
    """A text that the schema takes for a number becomes one, and a reference one of its own: else nearly every message
    would stop there. What breaks the schema stays as it is."""
    if not isinstance(body, dict):
        return body
    mark = hashlib.sha256(repr(sorted(body.items(), key=str)).encode("utf-8", "replace")).hexdigest()
    number, ref = body.get("to"), body.get("ref")
    if isinstance(number, str) and 0 < len(number) <= 64:
        body = body | {"to": f"+37529111{int(mark, 16) % 10_000:04d}"}
    if isinstance(ref, str) and 0 < len(ref) <= 128 and not any(letter < " " or letter == "\x7f" for letter in ref):
        body = body | {"ref": mark}
    return body
