"""An archive is sent to somebody else's store whole and checked, or not at all; nothing of theirs is touched (P9)."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import random
import tracemalloc
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import IO
from uuid import uuid4

import asyncpg
import pytest
import structlog
from aiohttp import web
from msgspec.structs import replace as replace_state
from typer.testing import CliRunner

from services.exporter import convoy, deliver, deliver_command
from services.exporter.deliver import TRIES, Delivering
from services.exporter.deliver_command import NotDeliverableError
from services.exporter.destinations import NotThisCustomersError
from services.exporter.ours import OursError
from services.exporter.policy import ExporterPolicy
from services.exporter.states import Agreement, Copy, Keeping, Known, Revoking, State
from services.exporter.states import Delivering as Sent
from services.exporter.tasks import Delivered, DeliverExport, NotDelivered
from shared import filling, sending
from shared.clock import system_clock
from shared.contracts import Contract, Ending
from shared.declared import policy_file
from shared.errors import OperatorError
from shared.events.event import Event
from shared.filling import NoRoomError
from shared.objects import ObjectStore
from shared.performer import Attempt
from shared.policy import load_policy
from shared.sending import Cargo, FarEndAwayError, FarPlace, Sending
from shared.settings import S3, Settings
from shared.statecodec import StateCodec
from shared.store_faults import ObjectMissingError
from tests.exporter_perform.command_line import offramp
from tests.exporter_perform.far_end import FarEnd, Fault, far_end

pytestmark = pytest.mark.long

POLICY = load_policy(policy_file(), "exporter", ExporterPolicy)
# Three parts, the last one smaller.
BODY = random.Random(9).randbytes(5 * 2**20 * 2 + 4321)
SHA = hashlib.sha256(BODY).hexdigest()
SECRET, ACCESS = "offramp-secret", "offramp"
DESTINATIONS = """
version: 1
destinations:
  new-provider:
    customers: [acme]
    endpoint: ENDPOINT
    region: us-east-1
    bucket: BUCKET
    prefix: from/us/
    credentials: {kind: environment, access_key: T_FAR_ACCESS, secret_key: T_FAR_SECRET}
"""


@dataclass
class Moving:
    """Our side, theirs, and the file that says where theirs is."""

    settings: Settings
    store: ObjectStore
    far: FarEnd
    theirs: str
    listed: Path
    delivering: Delivering
    now: datetime

    key = "from/us/e-1.zip"

    @property
    def order(self) -> DeliverExport:
        place = f"s3://{self.settings.exports_bucket}/acme/e-1.zip"
        return DeliverExport(
            customer_id="acme", export_id="e-1", attempt=1, place=place, sha256=SHA, destination="new-provider"
        )

    def attempt(self, number: int = 1) -> Attempt:
        return Attempt(uuid4(), number, lambda: self.now)

    async def deliver(self, number: int = 1, **changed: str) -> Delivered | NotDelivered:
        order = self.order.model_copy(update=changed)
        return await self.delivering.deliver(order, self.attempt(number))

    async def fails(self, number: int = 1, **changed: str) -> tuple[str, str]:
        outcome = await self.deliver(number, **changed)
        assert isinstance(outcome, NotDelivered), outcome
        return outcome.reason, outcome.left_behind

    async def there(self) -> bytes | None:
        if not await self.store.exists(self.theirs, self.key):
            return None
        return await self.store.get(self.theirs, self.key)

    async def unfinished(self) -> list[str]:
        return [key async for key, _ in self.store.unfinished(self.theirs, "")]

    async def is_at(self, state: State) -> None:
        connection = await asyncpg.connect(self.settings.dsn("exporter"))
        try:
            await connection.execute(
                "insert into cases (customer_id, state, key_hash) values ('acme', $1, 0) "
                "on conflict (customer_id) do update set state = $1",
                StateCodec[State](State).dump(state),
            )
        finally:
            await connection.close()

    def case(self, agreement: Agreement | None = None, version: str = "", *revoking: Revoking) -> Keeping:
        over = self.now - timedelta(days=10)
        ending = Ending(decided=False, period_end=over.date(), terminated_at=over, zone="UTC")
        contract = Contract("c-1", "UTC", 1, over.date(), over.date(), ending)
        copy = Copy("e-1", self.order.place, SHA, version=version)
        agreements = (agreement or Agreement("ta-1", over),)
        going = (Sent("e-1", "d-1", "new-provider", 1),)
        known = Known("acme", (contract,), archives=(copy,), agreements=agreements, delivering=going)
        return Keeping(replace_state(known, revoking=revoking))


@pytest.fixture
async def moving(
    settings: Settings, postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Moving]:
    name = f"t-{uuid4().hex[:12]}"
    ours, theirs = f"{name}-ours", f"{name}-theirs"
    monkeypatch.setenv("T_FAR_ACCESS", ACCESS)
    monkeypatch.setenv("T_FAR_SECRET", SECRET)
    monkeypatch.setattr(sending, "PART", 5 << 20)
    monkeypatch.setattr(convoy, "Sending", lambda *given, **named: Sending(*given, **named, part_bytes=5 << 20))
    own = replace(settings, own_dsns=MappingProxyType({"exporter": postgres}), exports_bucket=ours, home=tmp_path)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(ObjectStore(settings.s3))
        far = await stack.enter_async_context(far_end(settings.s3.endpoint))
        for bucket in (ours, theirs):
            await store.ensure_bucket(bucket)
        await store.put(ours, "acme/e-1.zip", BODY)
        listed = tmp_path / "destinations.yaml"
        listed.write_text(DESTINATIONS.replace("ENDPOINT", far.endpoint).replace("BUCKET", theirs))
        made = Moving(own, store, far, theirs, listed, Delivering(own, POLICY, listed), system_clock())
        await made.is_at(made.case())
        yield made
        for bucket, prefix in ((ours, "acme"), (theirs, "from")):
            await store.delete_all_versions(bucket, prefix)
            await store.remove_bucket(bucket)


def answers(status: int, code: str = "Whatever", when: str = "") -> Fault:
    """Let the far end answer so, where the request contains *when*."""

    async def fault(request: web.Request) -> web.StreamResponse | None:
        if when not in f"{request.method} {request.raw_path}":
            return None
        await request.read()
        body = f"<Error><Code>{code}</Code><Message>{SECRET} said {ACCESS}</Message></Error>"
        if status == HTTPStatus.OK:
            # Else it would be a failure that was told late, which S3 does.
            body = f"<Hello>{SECRET} said {ACCESS}</Hello>"
        return web.Response(status=status, text=body, content_type="application/xml")

    return fault


async def test_it_lies_there_byte_for_byte(moving: Moving) -> None:
    """The archive lies in their bucket as it lies in ours, was read again there, and nothing else is left."""
    seen: list[tuple[str, int]] = []
    attempt = replace(moving.attempt(), report=lambda stage, done, _: seen.append((stage, done)))
    outcome = await moving.delivering.deliver(moving.order, attempt)

    assert isinstance(outcome, Delivered), outcome
    assert (outcome.size_bytes, outcome.sha256, outcome.sent) == (len(BODY), SHA, "copied")
    assert await moving.there() == BODY
    assert await moving.unfinished() == []
    assert moving.far.count("partNumber") == 3
    assert seen[-1] == ("read back", len(BODY))
    assert ("sent", len(BODY)) in seen


async def test_again_it_is_found(moving: Moving) -> None:
    """A crash after the last part, or asked once more: what lies there is read, and nothing is sent."""
    await moving.deliver()
    version = (await moving.store.head(moving.theirs, moving.key)).version
    again = await moving.deliver(2)

    assert isinstance(again, Delivered)
    assert again.sent == "found"
    assert moving.far.count("partNumber") == 3
    assert (await moving.store.head(moving.theirs, moving.key)).version == version


async def test_what_was_announced_is_sent(moving: Moving) -> None:
    """Whatever lies over it; while links are being taken back that version goes, and the next one is waited for."""
    ours = moving.settings.exports_bucket
    version = (await moving.store.head(ours, "acme/e-1.zip")).version or ""
    await moving.store.put(ours, "acme/e-1.zip", b"laid over")
    await moving.is_at(moving.case(version=version))
    assert isinstance(await moving.deliver(), Delivered)
    assert await moving.there() == BODY

    await moving.store.delete_all_versions(moving.theirs, "from")
    await moving.store.delete_versions(ours, [("acme/e-1.zip", version)])
    await moving.is_at(moving.case(None, version, Revoking("e-1", None, 1)))
    with pytest.raises(ObjectMissingError):
        await moving.deliver()
    await moving.is_at(moving.case(version=version))
    assert await moving.fails() == ("missing", "nothing")


@pytest.mark.parametrize("theirs", [b"theirs", b"", BODY[:-1] + b"x"], ids=["smaller", "empty", "of the same size"])
async def test_nothing_of_theirs_is_overwritten(moving: Moving, theirs: bytes) -> None:
    """What lies at that key and isn't the archive stays as it is, and is told."""
    await moving.store.put(moving.theirs, moving.key, theirs)

    assert await moving.fails() == ("exists", "nothing")
    assert await moving.there() == theirs
    assert moving.far.count("partNumber") == 0


@pytest.mark.parametrize("when", ["partNumber=3", "POST /t-"])
async def test_nothing_of_theirs_that_came_meanwhile_is_overwritten(moving: Moving, when: str) -> None:
    """What somebody puts there while it is being sent, up to the last moment, stays the newest."""

    async def meanwhile(request: web.Request) -> None:
        if when in f"{request.method} {request.raw_path}" and "uploads" not in request.raw_path:
            await moving.store.put(moving.theirs, moving.key, b"theirs")

    moving.far.fault = meanwhile  # type: ignore[assignment]
    assert await moving.fails() == ("exists", "nothing")
    assert await moving.there() == b"theirs"
    assert await moving.unfinished() == []
    # Seen in time it isn't even tried to complete it, as there are stores that know no condition.
    assert moving.far.count("POST") == (1 if when == "partNumber=3" else 2)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (answers(403, "AccessDenied"), "forbidden"),
        (answers(401), "forbidden"),
        (answers(403, "AccessDenied", "partNumber=2"), "forbidden"),
        (answers(507, "XMinioStorageFull", "partNumber=2"), "full"),
        (answers(403, "QuotaExceeded", "partNumber"), "full"),
        (answers(501, "NotImplemented", "POST /t-"), "no_conditional_writes"),
        (answers(400, "EntityTooSmall", "partNumber"), "refused"),
        (answers(200, "Nothing", "POST"), "not_s3"),
    ],
)
async def test_what_they_refuse_is_told_by_name(moving: Moving, fault: object, reason: str) -> None:
    """A far end that says no, that is full, or that is no S3: a reason of ours, and nothing lies there."""
    moving.far.fault = fault  # type: ignore[assignment]

    assert await moving.fails() == (reason, "nothing")
    assert await moving.there() is None
    assert await moving.unfinished() == []


async def test_wrong_keys(moving: Moving, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real store's own answer to a wrong secret."""
    monkeypatch.setenv("T_FAR_SECRET", "another")

    assert await moving.fails() == ("forbidden", "nothing")


async def test_no_bucket(moving: Moving) -> None:
    """The real store's own answer where there is no such bucket; none is made."""
    moving.listed.write_text(moving.listed.read_text().replace(moving.theirs, "t-nowhere"))

    assert await moving.fails() == ("no_bucket", "nothing")
    with pytest.raises(OperatorError):
        await moving.store.check_bucket("t-nowhere")


async def test_who_breaks_off_is_waited_for(moving: Moving) -> None:
    """Half-way the far end dies: the next try sends what isn't there, and ends well."""

    async def dies(request: web.Request) -> None:
        if "partNumber=3" in request.raw_path and request.transport is not None:
            request.transport.abort()

    moving.far.fault = dies  # type: ignore[assignment]
    with pytest.raises(FarEndAwayError):
        await moving.deliver()
    assert await moving.there() is None
    assert await moving.unfinished() == [moving.key]

    moving.far.fault = FarEnd().fault
    moving.far.asked.clear()
    assert isinstance(await moving.deliver(2), Delivered)
    assert moving.far.count("PUT") < 3
    assert moving.far.count("partNumber=3") == 1
    assert await moving.there() == BODY
    assert await moving.unfinished() == []


async def test_what_lies_there_is_believed_by_its_digest_alone(moving: Moving) -> None:
    """Parts of other bytes in an upload of that key, whoever sent them, are sent over; and none outside the archive."""
    at = {"Bucket": moving.theirs, "Key": moving.key}
    begun = await moving.store.client.create_multipart_upload(**at, ChecksumAlgorithm="SHA256")
    for number, part in ((1, BODY[: 5 << 20]), (2, b"x" * (5 << 20)), (4, b"more")):
        digest = b64encode(hashlib.sha256(part).digest()).decode()
        await moving.store.client.upload_part(
            **at, UploadId=begun["UploadId"], PartNumber=number, Body=part, ChecksumSHA256=digest
        )
    with structlog.testing.capture_logs() as logs:
        assert isinstance(await moving.deliver(2), Delivered)

    assert [one["parts"] for one in logs if one["event"] == "parts were taken over"] == [1]
    assert (moving.far.count("partNumber=1"), moving.far.count("partNumber=2")) == (0, 1)
    assert await moving.there() == BODY


async def test_who_may_not_list_parts_sends_them_again(moving: Moving) -> None:
    """The right to list parts is one of its own at S3, and needn't be given."""
    await moving.store.client.create_multipart_upload(Bucket=moving.theirs, Key=moving.key)

    async def refuses(request: web.Request) -> web.StreamResponse | None:
        asked = request.method == "GET" and "uploadId" in request.query
        return await answers(403, "AccessDenied")(request) if asked else None

    moving.far.fault = refuses

    assert isinstance(await moving.deliver(2), Delivered)
    assert await moving.unfinished() == []


async def test_not_for_ever(moving: Moving) -> None:
    """A far end that stays away is waited for so many times, and then told."""
    moving.listed.write_text(moving.listed.read_text().replace(moving.far.endpoint, "http://127.0.0.1:1"))
    with pytest.raises(FarEndAwayError):
        await moving.deliver(TRIES - 1)

    assert await moving.fails(TRIES) == ("unreachable", "parts")


async def test_an_answer_that_gets_lost(moving: Moving) -> None:
    """The object is complete and nobody heard of it: it isn't sent twice, nor taken for somebody else's."""
    taken, lost = answers(412, "PreconditionFailed"), asyncio.Event()

    async def asked_again(request: web.Request) -> web.StreamResponse | None:
        # By the client itself, with the condition that nothing lies there.
        return await taken(request) if lost.is_set() and "POST" in request.method else None

    async def swallow(request: web.Request) -> web.StreamResponse | None:
        if request.method != "POST" or "uploadId" not in request.raw_path:
            return None
        lost.set()
        return web.Response(status=HTTPStatus.INTERNAL_SERVER_ERROR)

    moving.far.fault, moving.far.instead = asked_again, swallow
    outcome = await moving.deliver()

    assert isinstance(outcome, Delivered)
    assert await moving.there() == BODY
    assert len(await moving.store.versions_of(moving.theirs, moving.key)) == 1


@pytest.mark.parametrize(
    "alter",
    [lambda body: b"\0" + body[1:], lambda body: body + b"more", lambda body: body[:-1]],
    ids=["a byte", "too much", "too little"],
)
async def test_what_reads_back_otherwise_is_not_delivered(moving: Moving, alter: object) -> None:
    """Read again there it isn't the archive: nobody says that it was delivered, and what was written is taken away."""
    moving.far.alter = alter  # type: ignore[assignment]
    try:
        assert await moving.fails() == ("other_checksum", "nothing")
        assert await moving.there() is None
    except FarEndAwayError:
        # A body shorter than its length is a connection that broke off: it is waited for.
        assert alter(b"12") == b"1"  # type: ignore[operator]


async def test_without_versions_nothing_is_taken_away(moving: Moving) -> None:
    """Where a bucket keeps no versions, what lies there could be somebody else's by then: it is told that it does."""
    await moving.store.remove_bucket(moving.theirs)
    await moving.store.ensure_bucket(moving.theirs, versioned=False)
    moving.far.alter = lambda body: b"\0" + body[1:]

    assert await moving.fails() == ("other_checksum", "object")
    assert await moving.there() == BODY


async def test_an_archive_that_changed_is_not_delivered(moving: Moving) -> None:
    """What lies with us must be what was announced: other bytes are never completed at the far end."""
    await moving.store.put(moving.settings.exports_bucket, "acme/e-1.zip", BODY[:-1] + b"x")
    assert await moving.fails() == ("not_the_same", "nothing")
    assert await moving.there() is None
    await moving.store.delete_all_versions(moving.settings.exports_bucket, "acme/")

    assert await moving.fails() == ("missing", "nothing")


@pytest.mark.parametrize("when", ["partNumber=1", "partNumber=3"])
@pytest.mark.parametrize("change", ["window", "agreement"])
async def test_nothing_is_sent_without_the_right(
    moving: Moving, monkeypatch: pytest.MonkeyPatch, when: str, change: str
) -> None:
    """The window closes, or the agreement is withdrawn, while it is being sent: it ends there and nothing is left."""
    monkeypatch.setattr(deliver, "_BELIEVED", 0.0)
    agreement = moving.case().known.agreements[0]
    took_away = asyncio.Event()

    async def meanwhile(request: web.Request) -> None:
        if when in request.raw_path and not took_away.is_set():
            took_away.set()
            if change == "window":
                moving.now += timedelta(days=90)
            else:
                withdrawn = Agreement(agreement.agreement_id, agreement.agreed_at, moving.now)
                await moving.is_at(moving.case(withdrawn))

    moving.far.fault = meanwhile  # type: ignore[assignment]
    assert await moving.fails() == ("window_closed" if change == "window" else "agreement_withdrawn", "nothing")
    # Two parts are under way at once; the third one waits for the first.
    assert moving.far.count("partNumber=3") == (when == "partNumber=3")
    assert moving.far.count("POST") == 1
    assert await moving.there() is None
    assert await moving.unfinished() == []


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (lambda _: Keeping(Known("acme")), "not_asked"),
        (lambda moving: moving.case(Agreement("ta-1", moving.now, moving.now)), "agreement_withdrawn"),
        (lambda moving: moving.case(Agreement("ta-1", None, moving.now)), "agreement_withdrawn"),
    ],
)
async def test_what_no_longer_stands_is_not_begun(moving: Moving, state: object, reason: str) -> None:
    """The case is looked at again before the first byte; what a killed try left at the far end is dropped."""
    await moving.store.client.create_multipart_upload(Bucket=moving.theirs, Key=moving.key)
    await moving.store.client.create_multipart_upload(Bucket=moving.theirs, Key=f"{moving.key}.theirs")
    await moving.is_at(state(moving))  # type: ignore[operator]

    assert await moving.fails(2) == (reason, "nothing")
    assert await moving.unfinished() == [f"{moving.key}.theirs"]
    assert await moving.there() is None


async def test_a_deletion_never_waits_for_their_store(moving: Moving) -> None:
    """Without the right it is given up even if the far end can't be reached: what may lie there is told."""
    await moving.is_at(Keeping(Known("acme")))
    moving.far.fault = answers(500)

    assert await moving.fails(2) == ("not_asked", "parts")


async def test_a_killed_try_leaves_nothing_behind(moving: Moving) -> None:
    """The unfinished upload of a try that was killed is dropped by the next one."""
    await moving.store.client.create_multipart_upload(Bucket=moving.theirs, Key=moving.key)
    assert isinstance(await moving.deliver(2), Delivered)

    assert await moving.unfinished() == []


async def test_a_stop_is_gone_on_with(moving: Moving) -> None:
    """What a worker that is stopped has sent waits for the next one; without the right it goes, on a first try too."""
    reached = asyncio.Event()

    async def hangs(request: web.Request) -> None:
        if "partNumber=3" in request.raw_path:
            reached.set()
            await asyncio.Event().wait()

    moving.far.fault = hangs  # type: ignore[assignment]
    working = asyncio.create_task(moving.deliver())
    await reached.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert await moving.unfinished() == [moving.key]
    assert await moving.there() is None
    moving.far.fault = FarEnd().fault
    await moving.is_at(Keeping(Known("acme")))

    assert await moving.fails() == ("not_asked", "nothing")
    assert await moving.unfinished() == []


@pytest.mark.parametrize(
    ("find", "put", "reason"),
    [
        ("new-provider", "another", "unknown_destination"),
        ("[acme]", "[acme2]", "not_this_customers"),
        ("T_FAR_SECRET", "T_NOT_SET", "destination_unusable"),
        ("version: 1", "version: 2", "destination_unusable"),
    ],
)
async def test_only_where_it_is_written_down(moving: Moving, find: str, put: str, reason: str) -> None:
    """Nothing is sent to a place that isn't declared for this very customer, or can't be used."""
    moving.listed.write_text(moving.listed.read_text().replace(find, put))

    assert await moving.fails() == (reason, "nothing")
    assert not moving.far.asked


async def test_not_into_our_own_buckets(moving: Moving) -> None:
    """An archive in a bucket of ours under another name would be a copy that no deletion looks for."""
    text = moving.listed.read_text().replace(moving.theirs, moving.settings.exports_bucket)
    moving.listed.write_text(text.replace(moving.far.endpoint, moving.settings.s3.endpoint))

    assert await moving.fails() == ("destination_is_ours", "nothing")


@pytest.mark.parametrize("status", [None, 403])
@pytest.mark.parametrize("bucket", ["exports_bucket", "certificates_bucket"])
async def test_not_into_our_own_buckets_by_another_name(
    moving: Moving, monkeypatch: pytest.MonkeyPatch, bucket: str, status: int | None
) -> None:
    """A store answers to many names: where it has our archive, or doesn't say, nothing is sent, or would be."""
    monkeypatch.setenv("OFFRAMP_EXPORTER_DSN", moving.settings.dsn("exporter"))
    monkeypatch.setenv("OFFRAMP_EXPORTS_BUCKET", moving.settings.exports_bucket)
    monkeypatch.setenv("OFFRAMP_DESTINATIONS", str(moving.listed))
    named = getattr(moving.settings, bucket)
    moving.listed.write_text(moving.listed.read_text().replace(moving.theirs, named))
    if status is not None:
        moving.far.fault = answers(status, when="HEAD")

    assert await moving.fails() == ("destination_is_ours", "nothing")
    words = ["export", "deliver", "acme", "e-1", "--to", "new-provider", "--dry-run"]
    dry = await asyncio.to_thread(CliRunner().invoke, offramp(), words)
    assert isinstance(dry.exception, OursError)
    assert f"{named} is a bucket of ours" in str(dry.exception)
    assert moving.far.count("POST") + moving.far.count("PUT") == 0


async def test_a_bucket_of_theirs_may_be_called_as_one_of_ours(moving: Moving) -> None:
    """Another store has buckets of its own, and our archive isn't in them."""
    delivering = Delivering(replace(moving.settings, exports_bucket=moving.theirs), POLICY, moving.listed)
    moving.far.fault = answers(404, "NoSuchKey", when=f"HEAD /{moving.settings.exports_bucket}")

    assert isinstance(await delivering.deliver(moving.order, moving.attempt()), Delivered)
    assert await moving.there() == BODY


async def test_a_store_that_is_away_is_waited_for_before_it_is_known_whose_it_is(moving: Moving) -> None:
    """But not for ever."""
    delivering = Delivering(replace(moving.settings, exports_bucket=moving.theirs), POLICY, moving.listed)
    moving.far.fault = answers(503)
    with pytest.raises(FarEndAwayError):
        await delivering.deliver(moving.order, moving.attempt())
    last = await delivering.deliver(moving.order, moving.attempt(TRIES))

    assert isinstance(last, NotDelivered)
    # It can't be asked what an earlier try has left there.
    assert (last.reason, last.left_behind) == ("unreachable", "parts")


async def test_no_key_is_told(moving: Moving, caplog: pytest.LogCaptureFixture) -> None:
    """Neither outcome, log nor error holds a key, even if the far end says it aloud."""
    told: list[str] = []
    with structlog.testing.capture_logs() as logs:
        for status, when in ((403, "POST"), (400, "partNumber"), (507, "POST"), (200, "POST")):
            moving.far.fault = answers(status, when=when)
            told.append((await moving.deliver()).model_dump_json())
        moving.far.fault = answers(503, when="POST")
        with pytest.raises(FarEndAwayError) as away:
            await moving.deliver()
    told += [repr(away.value), repr(away.value.__cause__), repr(logs), caplog.text]

    assert not any(SECRET in one or "said" in one for one in told)
    assert away.value.__suppress_context__


async def test_memory_does_not_depend_on_the_size(moving: Moving) -> None:
    """96 MiB are sent and read back with less than 48 held."""
    piece, pieces = b"\7" * 2**18, 384
    digest = hashlib.sha256(piece * pieces).hexdigest()

    async def read() -> AsyncIterator[bytes]:
        for _ in range(pieces):
            yield piece

    far = FarPlace(moving.store, moving.theirs, moving.key)
    tracemalloc.start()
    how = await Sending(far, Cargo(len(piece) * pieces, digest, read)).send()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert how == "copied"
    assert peak < 48 << 20


async def test_memory_does_not_grow_with_the_parts(moving: Moving, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large ones wait on disk: six of 20 MiB are sent and read back with less than one held."""
    monkeypatch.setattr(filling, "IN_MEMORY", 5 << 20)
    part, pieces = 20 << 20, 480
    some = [random.Random(one).randbytes(2**18) for one in range(7)]
    whole = hashlib.sha256()
    for number in range(pieces):
        whole.update(some[number % 7])

    async def read() -> AsyncIterator[bytes]:
        for number in range(pieces):
            yield some[number % 7]

    far = FarPlace(moving.store, moving.theirs, moving.key)
    cargo = Cargo(pieces * 2**18, whole.hexdigest(), read)
    tracemalloc.start()
    how = await Sending(far, cargo, part_bytes=part).send()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert how == "copied"
    assert peak < part


async def test_parts_on_disk_are_sent_again_and_gone_on_with(moving: Moving, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that the far end threw away goes again from its beginning; the next try takes over what lies there."""
    monkeypatch.setattr(filling, "IN_MEMORY", 0)
    overloaded = answers(503, "SlowDown")

    async def throws_away(request: web.Request) -> web.StreamResponse | None:
        if "partNumber=2" in request.raw_path and moving.far.count("partNumber=2") == 1:
            return await overloaded(request)
        if "partNumber=3" in request.raw_path and request.transport is not None:
            request.transport.abort()
        return None

    moving.far.fault = throws_away
    with pytest.raises(FarEndAwayError):
        await moving.deliver()
    assert moving.far.count("partNumber=2") == 2

    moving.far.fault = FarEnd().fault
    moving.far.asked.clear()
    assert isinstance(await moving.deliver(2), Delivered)
    assert moving.far.count("partNumber") == 1
    assert await moving.there() == BODY


async def test_a_full_disk_is_waited_for(moving: Moving, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ours and no fault of the archive: the try says so and is made again, what was sent stays, and no file."""
    monkeypatch.setattr(filling, "IN_MEMORY", 0)
    make, made = filling.tempfile.TemporaryFile, list[IO[bytes]]()

    def fills_up() -> IO[bytes]:
        if len(made) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        made.append(make())
        return made[-1]

    monkeypatch.setattr(filling.tempfile, "TemporaryFile", fills_up)
    with pytest.raises(NoRoomError, match=r"No space left.*TMPDIR"):
        await moving.deliver()
    assert await moving.unfinished() == [moving.key]
    assert [one.closed for one in made] == [True, True]

    monkeypatch.setattr(filling.tempfile, "TemporaryFile", make)
    assert isinstance(await moving.deliver(2), Delivered)
    assert await moving.there() == BODY


@pytest.mark.parametrize(
    ("size", "parts"), [(1, 8 << 20), (80_000 << 20, 8 << 20), (1 << 40, 109_951_163), (5 << 40, 549_755_814)]
)
def test_parts_are_those_of_a_delivery_that_was_begun_before(size: int, parts: int) -> None:
    """Another release that cut otherwise would find nothing that lies there the same."""

    async def read() -> AsyncIterator[bytes]:
        yield b""

    far = FarPlace(ObjectStore(S3("http://127.0.0.1:1", ACCESS, SECRET, "us-east-1")), "theirs", "key")
    assert Sending(far, Cargo(size, SHA, read))._part_bytes == parts


async def test_the_command(moving: Moving, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks at both ends and says what it would send; it asks for it; it refuses what the service would refuse."""
    monkeypatch.setenv("OFFRAMP_EXPORTER_DSN", moving.settings.dsn("exporter"))
    monkeypatch.setenv("OFFRAMP_DESTINATIONS", str(moving.listed))
    said: list[Event] = []

    async def say(event: Event) -> None:
        said.append(event)

    monkeypatch.setattr(deliver_command, "say", say)

    async def run(*words: str) -> object:
        return await asyncio.to_thread(CliRunner().invoke, offramp(), ["export", "deliver", *words])

    dry = await run("acme", "e-1", "--to", "new-provider", "--dry-run", "--json")
    shown = json.loads(dry.stdout)  # type: ignore[attr-defined]
    assert (shown["size_bytes"], shown["sha256"], shown["there_bytes"]) == (len(BODY), SHA, [None])
    assert (shown["bucket"], shown["keys"]) == (moving.theirs, [moving.key])
    assert SECRET not in dry.stdout  # type: ignore[attr-defined]
    assert not said
    plain = await run("acme", "e-1", "--to", "new-provider", "--dry-run")
    assert "nothing lies there" in plain.stdout  # type: ignore[attr-defined]
    assert moving.far.count("POST") == 0

    asked = await run("acme", "e-1", "--to", "new-provider", "--json")
    assert json.loads(asked.stdout)["destination"] == "new-provider"  # type: ignore[attr-defined]
    assert len(said) == 1

    other = await run("acme", "e-9", "--to", "new-provider")
    assert isinstance(other.exception, NotDeliverableError)  # type: ignore[attr-defined]
    assert "unknown_export" in str(other.exception)  # type: ignore[attr-defined]
    moving.listed.write_text(moving.listed.read_text().replace("[acme]", "[acme2]"))
    not_theirs = await run("acme", "e-1", "--to", "new-provider")
    assert isinstance(not_theirs.exception, NotThisCustomersError)  # type: ignore[attr-defined]
    await moving.is_at(moving.case(Agreement("ta-1", moving.now, moving.now)))
    without = await run("acme", "e-1", "--to", "new-provider")
    assert "agreement_withdrawn" in str(without.exception)  # type: ignore[attr-defined]
    assert len(said) == 1
