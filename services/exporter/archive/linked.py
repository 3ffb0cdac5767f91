"""Whether each reference of a row leads to a file, as whoever imports the archive will find it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import TextIOWrapper

from shared.verify.archive import Files

from .links import PATH

_HAVE_A_FILE = frozenset({"exported", "differing"})


def first_dangling(archive: Files) -> str | None:
    """Say what is wrong with the first line of the list of references that can't be followed in *archive*."""
    return next(_dangling(archive), None)


def _dangling(archive: Files) -> Iterator[str]:
    if PATH not in archive.paths:
        return
    with archive.open(PATH) as raw, TextIOWrapper(raw, "utf-8", newline="") as text:
        csv.field_size_limit(0x7FFFFFFF)
        for number, one in enumerate(csv.DictReader(text), 2):
            if (one["outcome"] in _HAVE_A_FILE) != (f"data/{one['path']}" in archive.paths):
                yield f"line {number}: {one['table']}.{one['column']} is {one['outcome']}, its file {one['path']!r}"
