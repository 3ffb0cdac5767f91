"""Which columns look like secrets: what lets somebody in, signs for somebody, or can be turned back into that."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .columns import LiveColumn

# At the end of a name, run together with other words or not; "key" alone is no secret, since most keys only tell
# rows apart.
_NAMES = re.compile(
    r"(pass(word|wd|phrase|code)|pwd|secret|salt|token|credentials?|sess(ion)?_?(key|id|data)|hacp_?session"
    r"|(api|private|access|secret|signing|encryption|master|share|data|enrol+ment|certificate)_?key"
    r"|(^|_)(pass|otp|totp|pin|pin_?code|tokens|sid|recovery_?codes?)"
    r"|(password|passwd|pwd)_?(hash|digest|history)?)"
    r"(_?\d+|_?(hash|hashed|digest|enc|encrypted))?$"
)
_TABLES = re.compile(r"(^|_)(private_?keys?|secrets?|tokens?|credentials?|sessions?|password_?(history|resets?))($|_)")
_IN_SUCH_TABLES = re.compile(r"^(value|data|token|key|hash|sid|payload|secret|password|code)$")
# What a secret looks like from within: password hashes, keys in PEM, signed tokens.
VALUES = (
    r"^\$(2[abxy]?|argon2(id?|d)|5|6|y|scrypt|pbkdf2)[$-]|^\{S?SHA\d*\}|^pbkdf2_|^scram-sha-|"
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|^eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\."
)
_HOLDS_TEXT = frozenset({"text", "character varying", "character", "bytea", "json", "jsonb", "uuid", "citext"})
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def secret_name(table: str, column: LiveColumn) -> bool:
    """Tell whether *column* of *table* is called as secrets are, and can hold one."""
    if (column.base or column.type) not in _HOLDS_TEXT:
        return False
    name, of = _words(column.name), _words(table)
    return bool(_NAMES.search(name) or (_TABLES.search(of) and _IN_SUCH_TABLES.search(name)))


def _words(name: str) -> str:
    return _CAMEL.sub("_", name).lower()
