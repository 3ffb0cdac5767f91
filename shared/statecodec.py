"""How a state is written in its row: JSON, by msgspec, since it is read and written with every decision."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

S = TypeVar("S")
_encoder = msgspec.json.Encoder()


class StateCodec(Generic[S]):
    """Write and read the states of one domain; *states* is its union of frozen, tagged ``msgspec.Struct``s."""

    def __init__(self, states: Any) -> None:
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(states)

    def dump(self, state: S) -> str:
        """Write *state* as JSON."""
        return _encoder.encode(state).decode()

    def load(self, text: str | bytes) -> S:
        """Read what ``dump`` wrote; raises msgspec.ValidationError with the path of what is wrong."""
        state: S = self._decoder.decode(text)
        return state
