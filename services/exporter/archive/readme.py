"""data/README.txt: what is in the archive, how much, what was left out and why, and how to check it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from shared.datamap.model import DataMap
from shared.datamap.referring import referring
from shared.moments import iso

from .lost import Lost
from .media import Tally
from .verifying import unzip

PATH = "data/README.txt"


def readme(
    map: DataMap,  # noqa: A002 - the domain's word
    counts: Mapping[str, int],
    media: Tally,
    name: str,
    moment: datetime,
    signed_by: str | None = None,
    lost: Sequence[Lost] = (),
    *,
    several: bool = False,
) -> bytes:
    """Write the README of the archive *name*, signed by *signed_by*; *lost* are files that are not as the rows say.

    *several*: it is in volumes.
    """
    what, left_out, how = _what(map, moment, signed_by), (_left_out(map), _exempt(map)), _how(name, several=several)
    parts = (what, _tables(map, counts), _media(map, media, lost), *left_out, how)
    return "\n".join(line for part in parts for line in part).encode()


def _what(map: DataMap, moment: datetime, signed_by: str | None) -> Iterator[str]:  # noqa: A002
    yield f"All data of one customer in the system {map.system}, as it was at {iso(moment)}."
    yield "Everything was read in one transaction, so the tables fit together."
    yield f"Signed by the key {signed_by} (VERIFY.txt)." if signed_by else "NOT SIGNED: nothing shows who made it."
    yield ""
    yield "index.html            all that is here, in a browser; begin there"
    yield "data/csv, data/json   the tables, one by one; the further folders under data: in more formats"
    yield "data/datapackage.json what each column is and how the tables join (Frictionless Data Package)"
    yield "data/media            files, as they are; data/media.csv says which is which"
    yield "data/completeness.json what became of every table: exported, empty, or left out and why"
    yield ""
    yield 'CSV: UTF-8, a header, lines end with LF. An empty field is NULL, "" is the empty text.'
    yield "A cell may begin with =, + or @: import the files as text rather than opening unknown ones in a spreadsheet."
    yield "JSON lines: one object a line. Whole numbers may have more than 15 digits. Moments are UTC."
    yield ""


def _tables(map: DataMap, counts: Mapping[str, int]) -> Iterator[str]:  # noqa: A002
    yield "Tables"
    for table in map.tables:
        found = f"{counts[table.name]} rows" if table.name in counts else "not asked for"
        yield f"  {table.name} ({table.category}): {found}"
    yield ""


def _media(map: DataMap, media: Tally, lost: Sequence[Lost]) -> Iterator[str]:  # noqa: A002
    yield "Media"
    places = len(map.buckets) + len(referring(map))
    yield f"  {media.objects} files, {media.size} bytes, from {places} places"
    if referring(map):
        yield "  data/media_references.csv says to which file each row refers"
    yield from (f"  NOT AS RECORDED: {one.place}: {one.objects} files are {one.outcome}: {one.reason}" for one in lost)
    yield ""


def _left_out(map: DataMap) -> Iterator[str]:  # noqa: A002
    yield "Columns left out"
    found = [(table.name, column, why) for table in map.tables for column, why in table.left_out.items()]
    yield from (f"  {table}.{column}: {why}" for table, column, why in found)
    yield from () if found else ("  none",)
    yield ""


def _exempt(map: DataMap) -> Iterator[str]:  # noqa: A002
    yield "Tables that hold no customer's data"
    yield from (f"  {table}: {why}" for table, why in map.without_owner.items())
    yield from () if map.without_owner else ("  none",)
    yield ""


def _how(name: str, *, several: bool) -> Iterator[str]:
    yield "To check that all is here and nothing was altered (more in VERIFY.txt)"
    if several:
        yield "  It is in volumes, of which each opens by itself; all of them go into one folder:"
        yield f"  {unzip(name, several=True)}"
        yield f"  cd {name}"
    else:
        yield f"  unzip {name}.zip && cd {name}"
    yield "  sha256sum -c manifest-sha256.txt          (macOS: shasum -a 256 -c manifest-sha256.txt)"
    yield '  frictionless validate data/datapackage.json  (pip install "frictionless[json]")'
    yield ""
