"""Who holds customers' data: the declared list of holders that a deletion has to reach."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Strict, StringConstraints, ValidationError

from ..datamap.document import CUSTOMER, Category, OnceLoader
from ..errors import OperatorError
from .pace import Pace

if TYPE_CHECKING:
    from pathlib import Path

Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,47}$")]
BucketName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,62}$")]
Prefix = Annotated[str, StringConstraints(pattern=r"^([^{}]*/)?\{customer\}/([^{}]*/)?$")]
Duration = Annotated[timedelta, Strict(strict=False), Field(gt=timedelta(0))]


class HoldersError(OperatorError):
    """A list of holders that can't be used: which file, where in it, and what to do."""


@dataclass(frozen=True, slots=True)
class PostgresHolder:
    """A database with a data map; *database* names its address in the settings (``OFFRAMP_<DATABASE>_DSN``).

    *answered_by* is the process that deletes: ``holder``, or the name of a service that answers itself. Where it is
    *searched*, the check after a deletion looks for the customer's id in all of it.
    """

    name: str
    answers_within: timedelta
    answered_by: str
    map: Path
    database: str
    kind: Literal["postgres"] = "postgres"
    pace: Pace = field(default_factory=Pace)
    searched: bool = True


@dataclass(frozen=True, slots=True)
class S3Holder:
    """Objects in *bucket* under *prefix*, in which ``{customer}`` stands for the id; *answered_by* as above.

    *category* is what all of them count among, for holds of a category.
    """

    name: str
    answers_within: timedelta
    answered_by: str
    bucket: str
    prefix: str
    kind: Literal["s3"] = "s3"
    category: Category | None = None

    def prefix_of(self, customer: str) -> str:
        """Give the prefix of *customer*'s objects; never empty, always with a slash at its end."""
        return self.prefix.replace(CUSTOMER, customer)


@dataclass(frozen=True, slots=True)
class AccessHolder:
    """A service that keeps nothing of the customer's, and only ends its access; *answered_by* as above."""

    name: str
    answers_within: timedelta
    answered_by: str
    kind: Literal["access"] = "access"


# Those that keep data.
Holder = PostgresHolder | S3Holder


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    answers_within: Duration
    answered_by: Code = "holder"


_PACE = Pace()


class _WrittenPace(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    whole_up_to: Annotated[int, Field(ge=0)] = _PACE.whole_up_to
    batch_rows: Annotated[int, Field(ge=1)] = _PACE.batch_rows
    share: Annotated[float, Field(gt=0, le=1)] = _PACE.share


class _WrittenPostgres(_Written):
    kind: Literal["postgres"]
    map: Annotated[str, StringConstraints(min_length=1)]
    database: Code
    pace: _WrittenPace = _WrittenPace()
    search: bool = True


class _WrittenS3(_Written):
    kind: Literal["s3"]
    bucket: BucketName
    prefix: Prefix
    category: Category | None = None


class _WrittenAccess(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["access"]
    answers_within: Duration
    # Nobody can end another's access for it.
    answered_by: Code


_WrittenHolder = Annotated[_WrittenPostgres | _WrittenS3 | _WrittenAccess, Discriminator("kind")]


class _WrittenHolders(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1]
    holders: dict[Code, _WrittenHolder] = Field(min_length=1)


def load_holders(path: Path) -> tuple[Holder, ...]:
    """Read the holders of data declared at *path*; the maps that it names lie beside it. Raises ``HoldersError``."""
    holders = _read(path).holders.items()
    return tuple(_holder(name, one, path.parent) for name, one in holders if not isinstance(one, _WrittenAccess))


def load_access_holders(path: Path) -> tuple[AccessHolder, ...]:
    """Read those that keep nothing, and only end the customer's access. Raises ``HoldersError``."""
    holders = _read(path).holders.items()
    ends = ((name, one) for name, one in holders if isinstance(one, _WrittenAccess))
    return tuple(AccessHolder(name, one.answers_within, one.answered_by) for name, one in ends)


def _read(path: Path) -> _WrittenHolders:
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=OnceLoader)  # noqa: S506 - a SafeLoader, stricter
        written = _WrittenHolders.model_validate(document)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        msg = f"{path}: it can't be read: {error}. Give the path of a list of holders."
        raise HoldersError(msg) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        # The third part is the kind, by which the two shapes are told apart, and not a word of the document.
        where = ".".join(str(part) for place, part in enumerate(first["loc"]) if place != 2) or "the document"  # noqa: PLR2004
        msg = f"{path}: at {where}: {first['msg'].lower()}. See deploy/holders.yaml for an example."
        raise HoldersError(msg) from error
    return written


def _holder(name: str, written: _WrittenPostgres | _WrittenS3, folder: Path) -> Holder:
    common = name, written.answers_within, written.answered_by
    if isinstance(written, _WrittenPostgres):
        pace = Pace(**written.pace.model_dump())
        return PostgresHolder(*common, folder / written.map, written.database, pace=pace, searched=written.search)
    return S3Holder(*common, written.bucket, written.prefix, category=written.category)
