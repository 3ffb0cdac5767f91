"""Logs that say what happened to which event, and never what was in it."""

from __future__ import annotations

import logging
import logging.config
import sys
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import date
from traceback import extract_tb
from typing import Any, TextIO
from uuid import UUID

import msgspec
import structlog
from structlog.typing import EventDict, Processor

from .decision import Fact
from .settlement import Buried

# Names under which somebody would log what an event or a row holds.
WITHHELD = frozenset({"value", "payload", "body", "data", "record", "records", "row", "rows", "state", "headers"})
# At DEBUG aiokafka writes keys and values ("Sending (key=… value=…)"), and the object store's client bodies.
_LIBRARY_LEVELS = {
    "aiokafka": "INFO",
    "asyncio": "INFO",
    "asyncpg": "INFO",
    "aiobotocore": "INFO",
    "botocore": "INFO",
    "urllib3": "INFO",
    "faust": "WARNING",
    "mode": "WARNING",
}
_LONGEST = 300
_FRAMES = 8


def configure(service: str, *, json: bool, level: str = "INFO", stream: TextIO | None = None) -> dict[str, Any]:
    """Let structlog and every library's logging write to *stream* (default: stderr): JSON lines, or for a terminal.

    Gives the configuration for ``faust.App(logging_config=...)``, which would else replace the libraries' part.
    """
    out = sys.stderr if stream is None else stream
    structlog.configure(
        processors=[*_processors(service), *_renderers(json=json, out=out)],
        wrapper_class=structlog.make_filtering_bound_logger(level.lower()),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    libraries = _libraries(service, level.upper(), out, json=json)
    logging.config.dictConfig(libraries)
    return libraries


def about(service: str, fact: Fact) -> AbstractContextManager[Any]:
    """Bind the event's id and type, the customer and the case to all that is logged inside."""
    return structlog.contextvars.bound_contextvars(
        event_id=fact.id,
        event_type=fact.event.type(),
        customer=fact.event.customer_id,
        case=f"{service}/{fact.event.customer_id}",
    )


def tell(service: str, fates: Iterable[tuple[Fact, str]], buried: Iterable[Buried]) -> None:
    """Log what became of a committed batch: what waits at INFO, what is buried at WARNING, the rest at DEBUG.

    *fates*: each event with ``decided``, ``ignored`` or ``waits``.
    """
    log = structlog.get_logger()
    chatty = log.is_enabled_for(logging.DEBUG)
    for fact, fate in fates:
        if fate == "waits":
            with about(service, fact):
                log.info("event", outcome=fate)
        elif chatty:
            with about(service, fact):
                log.debug("event", outcome=fate)
    for one in buried:
        _tell_buried(log, service, one)


def _tell_buried(log: Any, service: str, one: Buried) -> None:
    where = one.record
    place = {} if where is None else {"topic": where.topic, "partition": where.partition, "offset": where.offset}
    with nullcontext() if one.fact is None else about(service, one.fact):
        log.warning("event", outcome="buried", reason=one.reason, **place)


def withhold(_: Any, __: str, entry: EventDict) -> EventDict:
    """Drop what may hold a payload: by its name, or because it is more than an id, a number, a moment or a word."""
    kept = {name: _plain(value) for name, value in entry.items() if name not in WITHHELD}
    if len(kept) < len(entry):
        kept["withheld"] = sorted(entry.keys() & WITHHELD)
    return kept


def tell_where(_: Any, __: str, entry: EventDict) -> EventDict:
    """Replace an exception by its types and places: its message may quote a value."""
    given = entry.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else _current(given)
    if error is not None:
        entry["exception"] = " < ".join(f"{type(one).__name__} {_frames(one)}" for one in _chain(error))
    return entry


def _current(given: Any) -> BaseException | None:
    found = given[1] if isinstance(given, tuple) else sys.exception() if given else None
    return found if isinstance(found, BaseException) else None


def _chain(error: BaseException | None) -> Iterable[BaseException]:
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return seen


def _frames(error: BaseException) -> str:
    last = extract_tb(error.__traceback__)[-_FRAMES:]
    return " ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}:{frame.name}" for frame in reversed(last))


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        # On a terminal a line break would make two entries of one.
        line = value.replace("\r", " ").replace("\n", " ")
        return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
    if value is None or isinstance(value, int | float | date | UUID):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items() if key not in WITHHELD}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    return f"({type(value).__name__})"


def _processors(service: str) -> list[Processor]:
    def named(_: Any, __: str, entry: EventDict) -> EventDict:
        entry.setdefault("service", service)
        return entry

    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        named,
        tell_where,
        withhold,
    ]


def _renderers(*, json: bool, out: TextIO) -> list[Processor]:
    if json:
        return [structlog.processors.JSONRenderer(serializer=_dump)]
    return [structlog.dev.ConsoleRenderer(colors=out.isatty())]


def _dump(entry: EventDict, **_: Any) -> str:
    return msgspec.json.encode(entry, enc_hook=str).decode()


class _Harmless(logging.Filter):
    """Libraries put exceptions and bytes into their messages; of these only the type is told."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through, without what may hold a payload."""
        if isinstance(record.msg, BaseException):
            record.msg = type(record.msg).__name__
        if isinstance(record.args, Mapping):
            record.args = {name: _told(value) for name, value in record.args.items()}
        elif record.args:
            record.args = tuple(_told(value) for value in record.args)
        return True


def _told(value: Any) -> Any:
    return type(value).__name__ if isinstance(value, BaseException | bytes | bytearray) else value


def _libraries(service: str, level: str, out: TextIO, *, json: bool) -> dict[str, Any]:
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": [structlog.stdlib.add_logger_name, *_processors(service)],
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(json=json, out=out)],
    }
    handler = {"class": "logging.StreamHandler", "stream": out, "formatter": "ours", "filters": ["harmless"]}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"harmless": {"()": _Harmless}},
        "formatters": {"ours": formatter},
        "handlers": {"ours": handler},
        "root": {"handlers": ["ours"], "level": level},
        "loggers": {name: {"level": level} for name, level in _LIBRARY_LEVELS.items()},
    }
