"""The file ``allowed_signers``: which public keys count, what for, and for moments of which period.

Source: "ALLOWED SIGNERS" in ssh-keygen(1). We read what we write, which is a part of it; lines of any other form count
for nothing, so that we never accept what ``ssh-keygen`` refuses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from .moments import SECONDS, ssh_time
from .sshsig import PRINCIPAL, key_id, openssh

ALLOWED_SIGNERS = "allowed_signers"
_OPTION = r'[a-z-]+="[^"\s]*"'
_ENTRY = re.compile(rf"{PRINCIPAL} (?P<options>{_OPTION}(?:,{_OPTION})*) (?P<key>ssh-ed25519 [A-Za-z0-9+/=]+)(?: .*)?")
_NAMESPACES, _AFTER, _BEFORE = "namespaces", "valid-after", "valid-before"
_FORMS = {len("20260131Z"): "%Y%m%dZ", len("202601310000Z"): "%Y%m%d%H%MZ", len("20260131000000Z"): SECONDS}


@dataclass(frozen=True, slots=True)
class Allowed:
    """One line: *key* signs for *purposes*, and counts for moments from *after* to *before* (UTC, both included)."""

    key: Ed25519PublicKey
    purposes: frozenset[str]
    after: datetime | None = None
    before: datetime | None = None

    @property
    def key_id(self) -> str:
        """Name the key as ``ssh-keygen -l`` does."""
        return key_id(self.key)

    def counts_at(self, moment: datetime) -> bool:
        """Tell whether what was signed at *moment* counts; as ssh-keygen, by whole seconds."""
        second = moment.astimezone(UTC).replace(microsecond=0)
        return (self.after is None or second >= self.after) and (self.before is None or second <= self.before)

    @property
    def line(self) -> str:
        """Write the line, without a line end."""
        periods = ((_AFTER, self.after), (_BEFORE, self.before))
        period = "".join(f',{name}="{ssh_time(moment)}"' for name, moment in periods if moment is not None)
        purposes = ",".join(sorted(self.purposes))
        return f'{PRINCIPAL} {_NAMESPACES}="{purposes}"{period} {openssh(self.key)} {self.key_id}'


def read_allowed_signers(text: str) -> tuple[Allowed, ...]:
    """Read the entries of an ``allowed_signers`` file; lines that we would not write count for nothing."""
    found = (_entry(line) for line in text.splitlines())
    return tuple(one for one in found if one is not None)


def _entry(line: str) -> Allowed | None:
    found = _ENTRY.fullmatch(line)
    if found is None:
        return None
    named = [option.split("=", 1) for option in re.findall(_OPTION, found["options"])]
    options = {name: value.strip('"') for name, value in named}
    # An option that is given twice, or that we don't know, might forbid what we would accept.
    if len(options) < len(named) or options.keys() - {_NAMESPACES, _AFTER, _BEFORE} or _NAMESPACES not in options:
        return None
    try:
        key = load_ssh_public_key(found["key"].encode())
        after, before = (_moment(options[name]) if name in options else None for name in (_AFTER, _BEFORE))
    except (ValueError, UnsupportedAlgorithm):
        return None
    if not isinstance(key, Ed25519PublicKey):
        return None
    return Allowed(key, frozenset(options[_NAMESPACES].split(",")), after, before)


def _moment(text: str) -> datetime:
    if not re.fullmatch("[0-9]+Z", text) or len(text) not in _FORMS:
        raise ValueError(text)
    return datetime.strptime(text, _FORMS[len(text)]).replace(tzinfo=UTC)
