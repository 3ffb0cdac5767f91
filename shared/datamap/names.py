"""Names of tables as a data map writes them, and as SQL has to quote them."""

from __future__ import annotations

import re

# A name as SQL writes it: parts with dots between them, each bare or in double quotes (a quote inside is doubled).
_PART = r'(?:"(?:[^"]|"")+"|[^".]+)'
PATTERN = rf"^{_PART}(\.{_PART})?$"
PATTERN_OF_COLUMN = rf"^{_PART}(\.{_PART}){{1,2}}$"
PUBLIC = "public"
LONGEST_REPORTED = 127


def quoted(identifier: str) -> str:
    """Quote one identifier of SQL."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Write *text* as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def relation(name: str) -> str:
    """Give table *name* quoted and with its schema, ``public`` unless it names another; search paths play no part."""
    schema, table = parts(name)
    return f"{quoted(schema)}.{quoted(table)}"


def parts(name: str) -> tuple[str, str]:
    """Give the schema and the table of *name*."""
    *schema, table = split(name)
    return (schema[0] if schema else PUBLIC), table


def split(name: str) -> list[str]:
    """Take *name* apart at the dots that are not in quotes."""
    return [part[1:-1].replace('""', '"') if part[0] == '"' else part for part in re.findall(_PART, name)]


def named(schema: str, table: str) -> str:
    """Write the name of *table* as the map does: without its schema where that is ``public``."""
    written = _written(table)
    return written if schema == PUBLIC else f"{_written(schema)}.{written}"


def canonical(name: str) -> str:
    """Write *name* in the one way in which the live schema's names are written too."""
    return named(*parts(name))


def table_and_column(name: str) -> tuple[str, str]:
    """Take a ``table.column`` apart."""
    *table, column = split(name)
    return named(*parts(".".join(quoted(part) for part in table))), column


def reported(name: str) -> str:
    """Write *name* so that an event can carry it: what is not in its alphabet becomes ``$`` and hexadecimal digits."""
    plain = re.sub(r"[^A-Za-z0-9_.$-]", lambda odd: f"${ord(odd[0]):x}", name)[:LONGEST_REPORTED]
    return plain if re.match(r"[A-Za-z_]", plain) else f"_{plain}"[:LONGEST_REPORTED]


def _written(part: str) -> str:
    return quoted(part) if re.search(r'[."]', part) else part
