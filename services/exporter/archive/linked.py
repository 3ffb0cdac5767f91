"""Whether each reference of a row leads to a file, as whoever imports the archive will find it."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from io import TextIOWrapper
from typing import IO
from zipfile import ZipFile

from .links import PATH

_HAVE_A_FILE = frozenset({"exported", "differing"})


def first_dangling(archive: Sequence[IO[bytes]]) -> str | None:
    """Say what is wrong with the first line of the list of references that can't be followed in *archive*, its ZIPs."""
    return next(_dangling(archive), None)


def _dangling(archive: Sequence[IO[bytes]]) -> Iterator[str]:
    with ExitStack() as stack:
        zips = [stack.enter_context(ZipFile(one)) for one in archive]
        names = {name: one for one in zips for name in one.namelist()}
        base = next(iter(names), "").partition("/")[0]
        opened = names.get(f"{base}/{PATH}")
        if opened is None:
            return
        with opened.open(f"{base}/{PATH}") as raw, TextIOWrapper(raw, "utf-8", newline="") as text:
            csv.field_size_limit(0x7FFFFFFF)
            for number, one in enumerate(csv.DictReader(text), 2):
                if (one["outcome"] in _HAVE_A_FILE) != (f"{base}/data/{one['path']}" in names):
                    yield f"line {number}: {one['table']}.{one['column']} is {one['outcome']}, its file {one['path']!r}"
