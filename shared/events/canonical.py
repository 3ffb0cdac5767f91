"""An event exactly as ``envelope.write`` makes it: known by a comparison, and read without a detour.

Nearly all that arrives was written so. Whatever is otherwise, if only by a space, is None here and read the general
way, which alone says what is wrong; so nothing is accepted here that would be turned down there.
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from .strict_json import MOST_BYTES

Headers = tuple[tuple[str, bytes], ...]

CONTENT_TYPE = b"application/cloudevents+json; charset=UTF-8"
# Printable, without space and "@": an id and a source stand in logs, so they have no room for a person either.
_ID = re.compile(r"[!-?A-~]{1,255}")


class Envelope(msgspec.Struct):
    """A CloudEvent in the order in which we write it."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    datacontenttype: str
    dataschema: str
    data: msgspec.Raw


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Envelope)
_any = msgspec.json.Decoder()


def encode(envelope: Envelope) -> bytes:
    """Write *envelope* as compact JSON."""
    return _encoder.encode(envelope)


def is_id(text: object) -> bool:
    """Tell whether *text* can be an id or a source."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def repeated(envelope: Envelope) -> Headers:
    """Repeat the attributes of *envelope* as headers, so that a tool that shows only those shows something."""
    return (
        ("content-type", CONTENT_TYPE),
        ("ce_specversion", b"1.0"),
        ("ce_id", envelope.id.encode()),
        ("ce_source", envelope.source.encode()),
        ("ce_type", envelope.type.encode()),
        ("ce_subject", envelope.subject.encode()),
        ("ce_time", envelope.time.encode()),
        ("ce_dataschema", envelope.dataschema.encode()),
    )


def headers_of(value: bytes) -> Headers:
    """Give the headers under which *value*, an event that we wrote, travels."""
    return repeated(_decoder.decode(value))


def canonical(value: bytes | None, headers: Headers) -> tuple[Envelope, bytes] | None:
    """Read *value* if it and its *headers* are just as we would write them: the envelope, and its data as JSON."""
    if value is None or len(value) > MOST_BYTES:
        return None
    try:
        envelope = _decoder.decode(value)
        data = bytes(envelope.data)
        # The same bytes again: no key was there twice, none that we don't write, and nothing around it.
        if _encoder.encode(envelope) != value or _encoder.encode(_any.decode(data)) != data:
            return None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return (envelope, data) if _sound(envelope) and repeated(envelope) == headers else None


def _sound(envelope: Envelope) -> bool:
    return envelope.specversion == "1.0" and _ID.fullmatch(envelope.id) is not None and _known(envelope.source)


@lru_cache(maxsize=1024)
def _known(source: str) -> bool:
    return is_id(source)
