"""Logs name the event, its customer and its case, and never say what was in it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog
from aiokafka import AIOKafkaProducer
from counting import NOW, SERVICE
from probing import until

from shared.decision import Fact
from shared.events.envelope import Record
from shared.events.platform import ExportRequested
from shared.logs import WITHHELD, about, configure, tell
from shared.operations.readings import Stored, read_stored
from shared.settlement import Buried
from shared.worker import Place, open_worker

SECRET = "ann@example.org"


class Lines:
    """What was logged, as JSON lines."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Let everything log into memory, at the most talkative level; the loggers are as before afterwards."""
    root, before = logging.getLogger(), (logging.getLogger().handlers[:], logging.getLogger().level)
    logged = Lines()
    configure("notice", json=True, level="DEBUG", stream=logged.stream)
    yield logged
    root.handlers[:], root.level = before[0], before[1]
    structlog.reset_defaults()


def test_what_is_logged_about_an_event_names_it(lines: Lines) -> None:
    """Inside ``about`` each entry has the event's id and type, the customer and the case; outside none has."""
    fact = Fact("e-1", "/support", NOW, ExportRequested(customer_id="acme", request_id="r1", requested_at=NOW))
    with about("notice", fact):
        structlog.get_logger().info("decided")
    structlog.get_logger().info("resting")

    inside, outside = lines.all()
    assert {name: inside[name] for name in ("event_id", "event_type", "customer", "case", "service")} == {
        "event_id": "e-1",
        "event_type": "ExportRequested",
        "customer": "acme",
        "case": "notice/acme",
        "service": "notice",
    }
    assert "customer" not in outside


@pytest.mark.parametrize("name", sorted(WITHHELD))
def test_what_is_called_a_payload_is_withheld(lines: Lines, name: str) -> None:
    """Whoever logs a payload under its name finds that it was withheld, on every level of nesting."""
    structlog.get_logger().warning("read", **{name: SECRET}, place={"offset": 3, name: SECRET})

    (entry,) = lines.all()
    assert entry["withheld"] == [name]
    assert entry["place"] == {"offset": 3}
    assert SECRET not in lines.stream.getvalue()


def test_objects_are_told_by_their_type(lines: Lines) -> None:
    """Bytes, events and whatever else may hold a payload become the name of their type, whatever they are called."""
    event = ExportRequested(customer_id="acme", request_id=SECRET.replace("@", "-"), requested_at=NOW)
    structlog.get_logger().info("read", what=event, raw=SECRET.encode(), at=datetime(2026, 1, 1, tzinfo=UTC))

    (entry,) = lines.all()
    assert (entry["what"], entry["raw"], entry["at"]) == ("(ExportRequested)", "(bytes)", "2026-01-01T00:00:00Z")


def test_an_exception_is_told_by_type_and_place(lines: Lines) -> None:
    """A trace names types, files and lines, with its causes; the messages, which quote values, stay out."""
    try:
        try:
            int(SECRET)
        except ValueError as error:
            raise RuntimeError(SECRET) from error
    except RuntimeError:
        structlog.get_logger().exception("failed")
        logging.getLogger("mode.supervisors").exception("Crashed reason=%r", RuntimeError(SECRET))

    ours, theirs = lines.all()
    assert ours["exception"].startswith("RuntimeError test_logs.py:")
    assert "< ValueError test_logs.py:" in ours["exception"]
    assert theirs["event"] == "Crashed reason='RuntimeError'"
    assert SECRET not in lines.stream.getvalue()


def test_libraries_are_logged_the_same_way(lines: Lines) -> None:
    """What aiokafka, asyncpg and Faust log is JSON of ours, and aiokafka's DEBUG, which has values in it, is off."""
    logging.getLogger("aiokafka.producer.producer").debug("Sending (key=%s value=%s)", b"k", SECRET)
    logging.getLogger("aiokafka.consumer").error("Heartbeat failed: %s", ValueError(SECRET))
    logging.getLogger("asyncpg.pool").warning("row %r", SECRET.encode())

    first, second = lines.all()
    assert (first["event"], first["logger"], first["level"]) == (
        "Heartbeat failed: ValueError",
        "aiokafka.consumer",
        "error",
    )
    assert second["event"] == "row 'bytes'"


def test_one_entry_is_one_line_on_a_terminal() -> None:
    """A line break in a value can't forge a second entry."""
    stream = io.StringIO()
    configure("notice", json=False, stream=stream)
    structlog.get_logger().warning("read", topic="a\nlevel=error forged")
    structlog.reset_defaults()

    assert stream.getvalue().count("\n") == 1


def test_each_event_of_a_batch_is_told_at_its_level(lines: Lines) -> None:
    """What waits and what is buried is always told; what was decided or ignored only to who wants it all."""
    fact = Fact("e-1", "/support", NOW, ExportRequested(customer_id="acme", request_id="r1", requested_at=NOW))
    record = Record("ExportRequested", 1, 7, 0, None, SECRET.encode(), ())
    tell("notice", [(fact, "decided"), (fact, "waits")], [Buried("value: not JSON", record, None)])
    configure("notice", json=True, level="INFO", stream=lines.stream)
    tell("notice", [(fact, "ignored"), (fact, "waits")], [])

    told = [(entry["level"], entry["outcome"], entry.get("event_id"), entry.get("offset")) for entry in lines.all()]
    assert told == [
        ("debug", "decided", "e-1", None),
        ("info", "waits", "e-1", None),
        ("warning", "buried", None, 7),
        ("info", "waits", "e-1", None),
    ]
    assert SECRET not in lines.stream.getvalue()


async def test_no_payload_of_an_event_reaches_the_logs(lines: Lines, producer: AIOKafkaProducer, place: Place) -> None:
    """A worker at its most talkative, fed with what it decides, waits for, fails on and can't read, tells no value."""
    mark = "s3cr3t"
    told = [
        ("ExportRequested", f'{{"customer_id":"acme","request_id":"{mark}","requested_at":"2026-03-01T10:00:00Z"}}'),
        ("ExportRequested", f'{{"customer_id":"acme","request_id":"{mark}","requested_at":"{mark}"}}'),
        (
            "NoticeReceived",
            (
                f'{{"customer_id":"zoo","contract_id":"{mark}","notice_id":"{mark}","channel":"email",'
                '"received_at":"2026-03-01T10:00:00Z"}'
            ),
        ),
        (
            "ContractRegistered",
            (
                f'{{"customer_id":"poison","contract_id":"{mark}","revision":1,"period_start":"2026-01-01",'
                '"period_end":"2026-12-31","time_zone":"Europe/Stockholm","renewal":{"kind":"none"},"notice_days":30,'
                f'"notice_channels":["email"],"note":"{mark}"}}'
            ),
        ),
        ("ContractRegistered", f"{mark} is not JSON"),
    ]
    async with open_worker(SERVICE, place) as worker:
        for topic, value in told:
            await producer.send_and_wait(place.prefix + topic, value.encode(), None, headers=[("note", mark.encode())])

        async def now_read() -> Stored | None:
            return await read_stored(worker.pool, worker.partitions, NOW)

        working = asyncio.create_task(worker.run())
        await until(now_read, lambda one: one is not None and sum(one.buried.values()) == 3 and one.waiting == 1)
        worker.stop()
        await working

    assert lines.all()
    assert mark not in lines.stream.getvalue()
