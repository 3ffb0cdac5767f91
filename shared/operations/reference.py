"""A reference that a person gives on the command line and that goes into an event, which has no room for a person."""

from __future__ import annotations

import typer
from pydantic import TypeAdapter, ValidationError

from ..events.vocabulary import Ref

_REF = TypeAdapter[str](Ref)


def reference(text: str) -> str:
    """Give *text* if an event can carry it; raises typer.BadParameter, which ends with 2."""
    try:
        return _REF.validate_python(text)
    except ValidationError:
        pass
    raise typer.BadParameter("must be an opaque reference, as staff:4417: letters, digits and . _ : / - (128 at most)")
