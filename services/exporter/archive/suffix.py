"""How the file of an archive is named: by what opens it."""

from __future__ import annotations

_PLAIN, _ENCRYPTED = ".zip", ".zip.age"


def file_suffix(*, encrypted: bool) -> str:
    """Give the end of an archive's name."""
    return _ENCRYPTED if encrypted else _PLAIN


def suffix_of(place: str) -> str:
    """Give the end of the name of the archive at *place*."""
    return file_suffix(encrypted=place.endswith(_ENCRYPTED))


def stem_of(place: str) -> str:
    """Give the name of the archive at *place* without folders and end."""
    return place.rpartition("/")[2].removesuffix(".age").removesuffix(".zip")
