"""JSON that every reader understands alike: whatever could be read in two ways, or not at all, is turned down."""

from __future__ import annotations

import json
from typing import Any

import msgspec

# Kafka's own default for the largest message (max.message.bytes), so nothing that arrives by default is longer.
MOST_BYTES = 1_048_588

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


class NotStrictJSONError(ValueError):
    """The text is no JSON object with one meaning; the message says why and quotes none of it."""


def parse(text: bytes) -> dict[str, Any]:
    """Read a JSON object (RFC 8259, UTF-8, no BOM, no NaN, no number beyond a double) whose keys are all different.

    Raises ``NotStrictJSONError``.
    """
    if len(text) > MOST_BYTES:
        raise NotStrictJSONError(f"longer than {MOST_BYTES} bytes")
    parsed = _guarded(text)
    if not isinstance(parsed, dict):
        raise NotStrictJSONError("not a JSON object")
    return parsed


def dump(value: object) -> bytes:
    """Write *value* (as ``parse`` gave it) as compact JSON."""
    return _encoder.encode(value)


def _guarded(text: bytes) -> object:
    try:
        parsed = _decoder.decode(text)
        _check_keys(text, parsed)
    except msgspec.DecodeError as error:
        reason = f"not JSON ({error})"
    except UnicodeDecodeError:
        reason = "not UTF-8"
    except RecursionError:
        reason = "nested too deeply"
    else:
        return parsed
    # Raised out here, so that no chained exception carries the text into a log.
    raise NotStrictJSONError(reason)


def _check_keys(text: bytes, parsed: object) -> None:
    """Look for a key given twice: of those, one reader takes the first and another the last."""
    # What is compact, as we write it, comes back as it was unless a key was lost; that costs a tenth of the
    # hook below, which has to decide for texts with escapes or unusual numbers only.
    again = _encoder.encode(parsed)
    if again != text and again != msgspec.json.format(text, indent=-1):
        json.loads(text, object_pairs_hook=_distinct)


def _distinct(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise NotStrictJSONError("a key is given twice")
