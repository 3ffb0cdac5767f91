"""Where everything is: addresses, roles, buckets and folders, read once from the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from .errors import OperatorError

KAFKA_PORT = 19092
POSTGRES_PORT = 15432
S3_PORT = 18333
HIGHEST_OFFSET = 40_000
# Of the local stack, which listens on loopback only.
LOCAL_ROLE_PASSWORD = "offramp-dev"  # noqa: S105
LOCAL_ACCESS_KEY = "offramp"
LOCAL_SECRET_KEY = "offramp-secret"  # noqa: S105

_ADDRESS = re.compile(r"[^\s:,/]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_TOPIC_PREFIX = re.compile(r"[A-Za-z0-9._-]{0,100}")
_OWN_DSN = re.compile(r"OFFRAMP_([A-Z][A-Z0-9_]*)_DSN")


class UnusableSettingError(OperatorError):
    """A variable of the environment holds what can't be used; the text names it."""


@dataclass(frozen=True, slots=True)
class S3:
    """An object store: *endpoint* is a URL, addressed by path (``endpoint/bucket/key``)."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str


@dataclass(frozen=True, slots=True)
class Settings:
    """All that a process is told from outside; *external* names the parts that are not the local stack's."""

    home: Path
    cache: Path
    port_offset: int
    kafka: str
    postgres: str = field(repr=False)
    s3: S3
    external: frozenset[str]
    topic_prefix: str
    exports_bucket: str
    certificates_bucket: str
    timestamp_authority: str | None
    role_password: str = field(repr=False)
    own_dsns: Mapping[str, str] = field(repr=False)

    def dsn(self, service: str) -> str:
        """Give the URL of *service*'s own database and role: ``OFFRAMP_<SERVICE>_DSN``, else derived."""
        return self.own_dsns.get(service) or service_dsn(self.postgres, service, password=self.role_password)

    def topic(self, event_type: str) -> str:
        """Name the topic of *event_type* on this broker."""
        return f"{self.topic_prefix}{event_type}"

    def dead_letter_topic(self, event_type: str) -> str:
        """Name the topic of the dead letters of *event_type* on this broker."""
        return f"dlq.{self.topic(event_type)}"


def service_database(service: str, suffix: str = "") -> str:
    """Name the database of *service*, which is also the name of its role."""
    return f"offramp_{service}{suffix}"


def service_dsn(admin_dsn: str, service: str, *, password: str, suffix: str = "") -> str:
    """Derive the URL of *service*'s own database and role from the URL of the server's administrator."""
    url = urlsplit(admin_dsn)
    name = service_database(service, suffix)
    hosts = url.netloc.rpartition("@")[2]
    return urlunsplit(url._replace(netloc=f"{name}:{quote(password, safe='')}@{hosts}", path=f"/{name}"))


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from *environ* (default: this process's); raises ``UnusableSettingError``."""
    env = {name: value for name, value in (os.environ if environ is None else environ).items() if value}
    offset = _port_offset(env)
    return Settings(
        home=Path(env["OFFRAMP_HOME"]).expanduser().absolute() if "OFFRAMP_HOME" in env else _checkout() / ".offramp",
        cache=_cache(env),
        port_offset=offset,
        kafka=_kafka(env, offset),
        postgres=_postgres(
            env, "OFFRAMP_POSTGRES", f"postgresql://postgres@127.0.0.1:{POSTGRES_PORT + offset}/postgres"
        ),
        s3=_s3(env, offset),
        external=frozenset(part for part in ("kafka", "postgres", "s3") if f"OFFRAMP_{part.upper()}" in env),
        topic_prefix=_matching(env, "OFFRAMP_TOPIC_PREFIX", "", _TOPIC_PREFIX, "letters, digits, '.', '_' and '-'"),
        exports_bucket=_bucket(env, "OFFRAMP_EXPORTS_BUCKET", "offramp-exports"),
        certificates_bucket=_bucket(env, "OFFRAMP_CERTIFICATES_BUCKET", "offramp-certificates"),
        timestamp_authority=_http(env, "OFFRAMP_TIMESTAMP_AUTHORITY"),
        role_password=env.get("OFFRAMP_ROLE_PASSWORD", LOCAL_ROLE_PASSWORD),
        own_dsns=_own_dsns(env),
    )


def _checkout() -> Path:
    """Find the folder that holds the packages, or the current one when they were installed from a wheel."""
    root = Path(__file__).parents[1]
    return Path.cwd() if root.name == "site-packages" else root


def _cache(env: Mapping[str, str]) -> Path:
    if "OFFRAMP_CACHE" in env:
        return Path(env["OFFRAMP_CACHE"]).expanduser().absolute()
    return Path(env.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "offramp"


def _port_offset(env: Mapping[str, str]) -> int:
    text = env.get("OFFRAMP_PORT_OFFSET", "0")
    if not text.isdecimal() or int(text) > HIGHEST_OFFSET:
        raise _unusable("OFFRAMP_PORT_OFFSET", text, f"a whole number from 0 to {HIGHEST_OFFSET}, such as 100")
    return int(text)


def _kafka(env: Mapping[str, str], offset: int) -> str:
    text = env.get("OFFRAMP_KAFKA", f"127.0.0.1:{KAFKA_PORT + offset}")
    if not all(_ADDRESS.fullmatch(address) for address in text.split(",")):
        raise _unusable("OFFRAMP_KAFKA", text, "host:port, or several with commas between them")
    return text


def _postgres(env: Mapping[str, str], name: str, default: str) -> str:
    text = env.get(name, default)
    url = _url(text)
    if url is None or url.scheme not in {"postgresql", "postgres"} or not url.netloc:
        # The value may hold a password, so it is not repeated.
        msg = f"{name} can't be used: it must be a URL such as postgresql://role@host:5432/database."
        raise UnusableSettingError(msg)
    return text


def _s3(env: Mapping[str, str], offset: int) -> S3:
    endpoint = _http(env, "OFFRAMP_S3") or f"http://127.0.0.1:{S3_PORT + offset}"
    return S3(
        endpoint=endpoint.rstrip("/"),
        access_key=env.get("OFFRAMP_S3_ACCESS_KEY", LOCAL_ACCESS_KEY),
        secret_key=env.get("OFFRAMP_S3_SECRET_KEY", LOCAL_SECRET_KEY),
        region=env.get("OFFRAMP_S3_REGION", "us-east-1"),
    )


def _http(env: Mapping[str, str], name: str) -> str | None:
    text = env.get(name)
    url = _url(text or "")
    if text and (url is None or url.scheme not in {"http", "https"} or not url.hostname):
        raise _unusable(name, text, "a URL such as http://127.0.0.1:18333")
    return text


def _own_dsns(env: Mapping[str, str]) -> Mapping[str, str]:
    named = ((_OWN_DSN.fullmatch(name), name) for name in env)
    return MappingProxyType({found[1].lower(): _postgres(env, name, "") for found, name in named if found})


def _bucket(env: Mapping[str, str], name: str, default: str) -> str:
    return _matching(env, name, default, _BUCKET, "3 to 63 lower-case letters, digits, '.' and '-'")


def _matching(env: Mapping[str, str], name: str, default: str, pattern: re.Pattern[str], wanted: str) -> str:
    text = env.get(name, default)
    if not pattern.fullmatch(text):
        raise _unusable(name, text, wanted)
    return text


def _url(text: str) -> SplitResult | None:
    try:
        return urlsplit(text)
    except ValueError:
        return None


def _unusable(name: str, value: str, wanted: str) -> UnusableSettingError:
    return UnusableSettingError(f"{name} is {value!r}, which can't be used: it must be {wanted}.")
