"""How the volumes of an archive are named: a number of three digits before the end of its name."""

from __future__ import annotations

import re

from .suffix import suffix_of

_NUMBER = re.compile(r"[.]vol[0-9]{3}$")


def numbered(place: str, number: int) -> str:
    """Name a volume of the archive that would be at *place*."""
    return f"{before_number(place)}{number:03}{suffix_of(place)}"


def before_number(place: str) -> str:
    """Give what the names of all volumes of the archive at *place* begin with, and perhaps others' names too."""
    return f"{place.removesuffix(suffix_of(place))}.vol"


def volume_of(place: str) -> re.Pattern[str]:
    """Match the volumes of the archive at *place*, and nothing that is only called like them."""
    return re.compile(re.escape(before_number(place)) + "[0-9]{3}" + re.escape(suffix_of(place)))


def number_of(place: str) -> str:
    """Give the number in the name of the volume at *place*, with what separates it; nothing if it is no volume."""
    found = _NUMBER.search(place.removesuffix(suffix_of(place)))
    return "" if found is None else found[0]
