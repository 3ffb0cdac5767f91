"""What of a dead letter may be told: ids and places always, what may hold a person only when asked for."""

from __future__ import annotations

import re
from typing import Any

from ..deadletters import Letter

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# Headers that hold ids, types and reasons by their own rules; any other may hold anything.
_OPEN = re.compile(
    r"__dlq\.errors\.(topic|partition|offset|group|message)|ce_(specversion|id|source|type|time|dataschema)"
    r"|content-type|traceparent"
)


def told(letter: Letter, *, payload: bool) -> dict[str, Any]:
    """Describe *letter* for a person or as JSON; *payload* also tells its value, key and headers whole."""
    topic, partition, offset = letter.origin
    return {
        "topic": f"dlq.{letter.topic}",
        "partition": letter.partition,
        "offset": letter.offset,
        "service": letter.service,
        "reason": letter.reason,
        "original": {"topic": topic, "partition": partition, "offset": offset},
        "timestamp_ms": letter.timestamp_ms,
        "key": _text(letter.original_key) if payload else told_key(letter.original_key),
        "headers": {name: _header(name, value, payload=payload) for name, value in letter.headers},
        "value": _text(letter.value) if payload else _size(letter.value),
    }


def told_key(key: bytes | None) -> str | None:
    """Tell *key* if it can only be an id, else how long it is."""
    text = None if key is None else key.decode(errors="replace")
    return text if text is None or _ID.fullmatch(text) else _size(key)


def _header(name: str, value: bytes | None, *, payload: bool) -> str | None:
    return _text(value) if payload or _OPEN.fullmatch(name) else _size(value)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="backslashreplace")


def _size(value: bytes | None) -> str | None:
    return None if value is None else f"({len(value)} bytes; --payload shows them)"
