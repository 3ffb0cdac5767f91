"""Where exports may be delivered to (P9): names in events, places and keys in a file that only operators write.

``OFFRAMP_DESTINATIONS``, else ``deploy/destinations.yaml``, is read at each delivery. No message of this module repeats
a value of it: somebody may have written a key where only the name of one belongs.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, ValidationError, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from shared.datamap.document import read_yaml
from shared.errors import OperatorError
from shared.events.vocabulary import Code, CustomerId
from shared.settings import S3

from .archive.numbering import number_of
from .archive.suffix import suffix_of

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
Bucket = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
Prefix = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9_=-][A-Za-z0-9._=-]{0,99}/){0,8}$")]
Region = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,99}$")]
Path_ = Annotated[str, StringConstraints(min_length=1)]


class DestinationsError(OperatorError):
    """The list of destinations can't be used: which file, where in it, and what to do."""


class UnknownDestinationError(OperatorError):
    """There is no destination of that name."""


class NotThisCustomersError(OperatorError):
    """The destination is not this customer's: what is sent there would be in somebody else's hands."""


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class FromEnvironment(_Written):
    """The names of the variables that hold the keys."""

    kind: Literal["environment"]
    access_key: Variable
    secret_key: Variable


class FromFile(_Written):
    """A file as AWS' own tools have it (``[default]``, ``aws_access_key_id``, ``aws_secret_access_key``)."""

    kind: Literal["file"]
    path: Path_
    profile: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = "default"


class _WrittenDestination(_Written):
    customers: Annotated[list[CustomerId], Field(min_length=1)]
    endpoint: str
    region: Region
    bucket: Bucket
    prefix: Prefix
    credentials: Annotated[FromEnvironment | FromFile, Discriminator("kind")]

    @field_validator("endpoint", mode="after")
    @classmethod
    def _encrypted(cls, endpoint: str) -> str:
        try:
            url = urlsplit(endpoint)
            host, _ = url.hostname, url.port
        except ValueError:
            host, url = None, urlsplit("")
        plain = url.scheme == "http" and host in _LOOPBACK
        if not host or not (url.scheme == "https" or plain) or url.username or url.query or url.fragment:
            raise PydanticCustomError("endpoint", "must be an https URL without a user: all of a customer goes there")
        return endpoint.rstrip("/")


class _WrittenFile(_Written):
    version: Literal[1]
    destinations: dict[Code, _WrittenDestination]


@dataclass(frozen=True, slots=True)
class Destination:
    """A bucket that isn't ours, for the archives of *customers* alone; *address* has the keys, and shows no secret."""

    name: str
    customers: tuple[str, ...]
    address: S3
    bucket: str
    prefix: str

    def key_of(self, export_id: str, place: str) -> str:
        """Give the key under which an export, or a volume of it, which lies at *place* here, lies there."""
        return f"{self.prefix}{export_id}{number_of(place)}{suffix_of(place)}"


def check_destinations(path: Path) -> tuple[str, ...]:
    """Name the destinations that are written down in *path*; raises DestinationsError naming what is wrong where.

    Keys are not looked for: they may come later, and then only that destination waits for them.
    """
    return tuple(_written(path).destinations)


def check_destination(path: Path, name: str, customer_id: str) -> None:
    """Raise what ``destination_of`` does, but for want of keys: whoever asks for a delivery needn't have them."""
    _named(path, name, customer_id)


def destination_of(path: Path, name: str, customer_id: str, environ: Mapping[str, str] | None = None) -> Destination:
    """Give the destination *name* for *customer_id*, with its keys.

    Raises DestinationsError, UnknownDestinationError, NotThisCustomersError.
    """
    written = _named(path, name, customer_id)
    at = f"{path}: destinations.{name}.credentials"
    access, secret = _keys(written.credentials, path, at, os.environ if environ is None else environ)
    address = S3(written.endpoint, access, secret, written.region)
    return Destination(name, tuple(written.customers), address, written.bucket, written.prefix)


def _named(path: Path, name: str, customer_id: str) -> _WrittenDestination:
    written = _written(path).destinations.get(name)
    if written is None:
        raise UnknownDestinationError(
            f"{path}: there is no destination {name!r}. Write it down there, or name another."
        )
    if customer_id not in written.customers:
        raise NotThisCustomersError(
            f"{path}: destinations.{name}.customers: {customer_id} isn't one of them. "
            "Add it, if this is where its own data shall go."
        )
    return written


def _written(path: Path) -> _WrittenFile:
    try:
        raw = read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError) as error:
        raise DestinationsError(
            f"{path}: can't be read ({type(error).__name__}). Name one in OFFRAMP_DESTINATIONS."
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        # Its own text quotes the line, and with it whatever stands there.
        raise DestinationsError(f"{path}{line}: is no YAML, or has a key twice.") from None
    try:
        return _WrittenFile.model_validate(raw)
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False, include_context=False)
        lines = [f"{path}: {'.'.join(_step(one) for one in problem['loc'])}: {_says(problem)}" for problem in wrong]
        raise DestinationsError("\n".join(lines)) from None


def _says(problem: ErrorDetails) -> str:
    # pydantic's own message quotes the kind that was written.
    return "of no known kind" if problem["type"] == "union_tag_invalid" else problem["msg"]


def _step(step: int | str) -> str:
    # A key that nobody expected could be anything at all, too.
    return str(step) if isinstance(step, int) or len(step) <= _LONGEST_NAME else f"{step[:8]}…"


_LONGEST_NAME = 48


def _keys(credentials: FromEnvironment | FromFile, path: Path, at: str, environ: Mapping[str, str]) -> tuple[str, str]:
    if isinstance(credentials, FromFile):
        return _from_file(path.parent / credentials.path, credentials.profile, at)
    found = []
    for field in ("access_key", "secret_key"):
        value = environ.get(getattr(credentials, field))
        if not value:
            raise DestinationsError(
                f"{at}.{field}: names a variable of the environment that isn't set for this process."
            )
        found.append(value)
    return found[0], found[1]


def _from_file(path: Path, profile: str, at: str) -> tuple[str, str]:
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
        section = parser[profile]
        return section["aws_access_key_id"], section["aws_secret_access_key"]
    except (OSError, UnicodeError) as error:
        raise DestinationsError(f"{at}.path: can't be read ({type(error).__name__}).") from None
    except (configparser.Error, KeyError):
        raise DestinationsError(
            f"{at}.path: has no aws_access_key_id and aws_secret_access_key in its section [{profile}]."
        ) from None
