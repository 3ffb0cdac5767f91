"""The only kinds of value an event may carry: ids, codes, counts, digests, moments, places.

None of them has room for a person: no free text, no "@", no spaces. An event's field of any
other type fails the build, which is how personal data is kept out of topics, dead letters and logs.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

from ..moments import iso

_ZONES = frozenset(available_timezones())


def _known_zone(name: str) -> str:
    if name not in _ZONES:
        raise PydanticCustomError("unknown_zone", "not an IANA time zone")
    return name


def _written_out(value: object) -> object:
    # pydantic also takes "86400" for a date, as seconds since 1970. A period that ended in 1970 is data deleted today.
    if isinstance(value, date) or (isinstance(value, str) and value[4:5] == "-"):
        return value
    raise PydanticCustomError("not_written_out", "not a date in ISO 8601")


def _known_country(code: str) -> str:
    # Imported late: only a contract that counts working days needs it.
    from holidays.registry import COUNTRIES  # noqa: PLC0415

    if not any(code in names[1:] for names in COUNTRIES.values()) or len(code) != len("SE"):
        raise PydanticCustomError("unknown_country", "not a country whose holidays are known")
    return code


def _without_time(value: object) -> object:
    if isinstance(value, str) and len(value) != len("2026-01-31"):
        raise PydanticCustomError("not_written_out", "not a date in ISO 8601")
    return _written_out(value)


def _of_a_contract(day: date) -> date:
    # "9999-12-31" is how some systems write that there is no end. Read as a day, no date could be reckoned from it.
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise PydanticCustomError("no_years_of_a_contract", "no day on which a contract begins or ends")
    return day


def _in_lower_case(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("out_of_range", "outside the years 1 to 9999 in UTC") from None


CustomerId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
ContractId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
# An opaque reference that its owner can resolve: a request, a notice, a hold, a staff account.
Ref = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$")]
# A word from a closed list that somebody else keeps: a channel, a holder.
Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,47}$")]
# A language by BCP 47, in which case makes no difference: whoever asks may give the contract's own, as "sv-SE".
AskedLanguage = Annotated[Code, BeforeValidator(_in_lower_case)]
TableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.$-]{0,126}$")]
# Where a law or a court's case number is cited; too short and too plain for a story.
Citation = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9§][A-Za-z0-9§:.,/() -]{0,79}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
# One that a person read off a tool of theirs: those of Windows write it in upper case (Get-FileHash). Never so told.
GivenSha256 = Annotated[Sha256, BeforeValidator(_in_lower_case)]
# A public key by its digest, as ssh-keygen -l names it.
KeyId = Annotated[str, StringConstraints(pattern=r"^SHA256:[A-Za-z0-9+/]{43}$")]
# Whom something is encrypted for with age: a key of age's own, or of SSH without its comment, which may be a person's.
PublicKey = Annotated[
    str, StringConstraints(pattern=r"^(age1|ssh-ed25519 AAAA|ssh-rsa AAAA)[A-Za-z0-9+/]{58,1400}={0,2}$")
]
# The same key as it is told: age's own by itself, one of SSH by its digest, as ssh-keygen -l names it.
RecipientId = Annotated[str, StringConstraints(pattern=r"^(age1|SHA256:)[A-Za-z0-9+/]{43,58}$")]
# An order-independent fingerprint of a set of rows, in hexadecimal.
Fingerprint = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{1,64}$")]
Place = Annotated[str, StringConstraints(pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,62}/[A-Za-z0-9._/=-]{1,512}$")]
# A version of an object, as the store calls it.
Version = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._~+/=-]{1,128}$")]
Zone = Annotated[str, AfterValidator(_known_zone)]
# A country by ISO 3166-1 alpha-2 whose public holidays are known, so that working days can be counted there.
Country = Annotated[str, AfterValidator(_known_country)]
# A language by BCP 47, with its region at most: "sv", "en-GB".
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Z]{2}){0,1}$")]
Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_written_out),
    AfterValidator(_utc),
    PlainSerializer(iso, return_type=str, when_used="json"),
]
Day = Annotated[date, BeforeValidator(_without_time)]
_FIRST_YEAR, _LAST_YEAR = 1900, 2999
# The first or the last day of a contract's period.
ContractDay = Annotated[Day, AfterValidator(_of_a_contract)]
# The largest integer that every JSON reader keeps exact (RFC 8259 section 6); it also fits a bigint.
_MOST = 2**53 - 1
Count = Annotated[int, Field(strict=True, ge=0, le=_MOST)]
Positive = Annotated[int, Field(strict=True, ge=1, le=_MOST)]
# What a contract can sensibly ask for: ten years of days, a hundred years of months.
Days = Annotated[int, Field(strict=True, ge=0, le=3660)]
Months = Annotated[int, Field(strict=True, ge=1, le=1200)]
# In bytes: below it the ends of ZIPs would be most of a volume; above it S3 has no object.
VolumeSize = Annotated[int, Field(strict=True, ge=1 << 16, le=5 << 40)]


class Value(BaseModel):
    """A part of an event: frozen; unknown fields are accepted and ignored, so that old readers live on."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_timedelta="iso8601")


class TableCount(Value):
    """How many rows (or objects, for a bucket) of one table (or bucket)."""

    table: TableName
    rows: Count


class ArchiveVolume(Value):
    """One file of an archive, at *place* in the version *object_version* where the store keeps any."""

    place: Place
    size_bytes: Count
    sha256: Sha256
    object_version: Version | None = None


class DeltaBase(Value):
    """The archive that a delta is complete with, and not without: its name, its moment, and its SHA-256.

    That is the one that ``ExportReady`` told, of several volumes that of the last.
    """

    export_id: Ref
    sha256: Sha256
    snapshot_at: Moment


class FileChanges(Value):
    """How many files of the full archive are new, changed or unchanged beside the base, and how many it has no more."""

    new: Count
    changed: Count
    unchanged: Count
    gone: Count


# All files of one archive, in order; the last has the digests of all before it.
ArchiveVolumes = Annotated[tuple[ArchiveVolume, ...], Field(min_length=1, max_length=999)]


class TableFingerprint(Value):
    """Everybody else's rows of one table, before and after a deletion, as an order-independent fingerprint."""

    table: TableName
    rows_before: Count
    rows_after: Count
    before: Fingerprint
    after: Fingerprint
