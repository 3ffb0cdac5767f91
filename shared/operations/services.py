"""The services by name: those that own an event in the catalogue."""

from __future__ import annotations

from ..errors import OperatorError
from ..events.catalogue import EVENTS

_AROUND_US = {"platform"}
SERVICES: tuple[str, ...] = tuple(
    sorted({owner for event in EVENTS.values() for owner in event.owner.split(", ")} - _AROUND_US)
)


def known_service(name: str) -> str:
    """Give *name* back if a service is called so; raises ``OperatorError``."""
    if name not in SERVICES:
        raise OperatorError(f"there is no service {name}: it is one of {', '.join(SERVICES)}.")
    return name
