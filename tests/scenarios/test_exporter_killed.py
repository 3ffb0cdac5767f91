"""A worker of the exporter is killed, or stands still, at its work: another one takes it up, and it is said once."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import pytest
import pytest_asyncio
from aiohttp import web

from deploy.demo import ground
from deploy.demo.watch import Watch
from deploy.platform.generate import BUCKET
from shared.events.exporter import DeltaReady, ExportDelivered, ExportReady, LinksRevoked
from shared.events.notice import ContractTerminated
from shared.events.platform import ExportRequested, TransferAgreed
from shared.objects import ObjectStore
from shared.settings import Settings
from shared.signing.sshsig import ARCHIVE
from shared.verify.archive import verify
from shared.verify.by_library import by_library
from tests.exporter_perform.far_end import FarEnd, far_end
from tests.scenarios.phrases import contract
from tests.scenarios.scene import Scene, scene
from tests.scenarios.waits import until
from tests.scenarios.workers import Worker

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.long]
Which: TypeAlias = Callable[[web.Request], bool]
OVER = datetime(2027, 5, 9, 22, tzinfo=UTC)
NOW = datetime(2027, 5, 10, 9, tzinfo=UTC)
# So that the archive has several parts: bytes that can't be packed, as a film's.
FILM = 20 << 20
DESTINATIONS = """
version: 1
destinations:
  new-provider:
    customers: [CUSTOMER]
    endpoint: ENDPOINT
    region: us-east-1
    bucket: BUCKET
    prefix: ""
    credentials: {kind: environment, access_key: T_FAR_ACCESS, secret_key: T_FAR_SECRET}
"""


class Store:
    """The store as the workers see it: all pass through here, and the first request of a kind can be kept waiting."""

    def __init__(self, far: FarEnd) -> None:
        self.endpoint = far.endpoint
        self._which: Which | None = None
        self._reached, self._open = asyncio.Event(), asyncio.Event()
        far.fault = self._fault

    async def _fault(self, request: web.Request) -> None:
        if self._which is not None and self._which(request):
            self._which = None
            self._reached.set()
            await self._open.wait()

    def hold(self, which: Which) -> None:
        """Keep the first request waiting that is as *which* says."""
        self._which = which
        self._reached.clear()
        self._open.clear()

    async def reached(self) -> None:
        """Wait until it is kept waiting."""
        async with asyncio.timeout(60):
            await self._reached.wait()

    def release(self) -> None:
        """Let it pass."""
        self._open.set()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def store(settings: Settings) -> AsyncIterator[Store]:
    async with far_end(settings.s3.endpoint) as far:
        kept = Store(far)
        yield kept
        # What a killed worker asked for may wait still: its end isn't heard where its body wasn't read, and closing
        # would wait for it twice a minute.
        kept.release()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def theirs(settings: Settings) -> AsyncIterator[str]:
    """Make a bucket of the new provider."""
    async with ObjectStore(settings.s3) as real:
        name = f"t-far-{os.urandom(4).hex()}"
        await real.ensure_bucket(name)
        yield name
        async for key, _ in real.versions(name, ""):
            await real.delete_versions_of(name, key)
        await real.remove_bucket(name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made(
    settings: Settings, store: Store, theirs: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Scene]:
    """Fill a platform whose four customers' contracts are over; no worker runs yet."""
    async with (
        scene(settings, tmp_path_factory.mktemp("scene"), "exporter", "platform") as one,
        ObjectStore(settings.s3) as real,
    ):
        ground.make_sure_of_keys(one.ground.exporter_keys, ARCHIVE)
        await ground.fill(one.ground)
        customers, listed = one.ground.customers, one.ground.folder / "destinations.yaml"
        text = DESTINATIONS.replace("CUSTOMER", customers.stays).replace("ENDPOINT", store.endpoint)
        listed.write_text(text.replace("BUCKET", theirs))
        far = {"T_FAR_ACCESS": settings.s3.access_key, "T_FAR_SECRET": settings.s3.secret_key}
        one.declared = {"OFFRAMP_S3": store.endpoint, "OFFRAMP_DESTINATIONS": str(listed), **far}
        for customer in customers.all():
            await real.put(BUCKET, f"{customer}/film.mp4", os.urandom(FILM))
            await one.publish(contract(customer), _over(customer))
        try:
            yield one
        finally:
            for customer in customers.all():
                for bucket in (BUCKET, settings.exports_bucket):
                    await real.delete_all_versions(bucket, f"{customer}/")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watch(made: Scene) -> AsyncIterator[Watch]:
    """Hear what the exporter says."""
    async with made.hearing(ExportReady, DeltaReady, ExportDelivered, LinksRevoked) as one:
        yield one


async def test_killed_while_it_writes(made: Scene, store: Store, watch: Watch) -> None:
    """Some parts are in the store when it dies: the next worker goes on with them, in a snapshot of its own."""
    customer = made.ground.customers.leaves
    store.hold(lambda request: request.query.get("partNumber") == "3")
    await _cut_off(made, store, customer)
    second = await made.ready("exporter")

    await _announced_once(made, watch, customer)
    assert "an unfinished upload is gone on with" in second.log()
    assert await second.terminate() == 0


async def test_killed_while_it_reads_back(made: Scene, store: Store, watch: Watch) -> None:
    """The archive was complete, and nobody was told of it: it goes, and one that is proven takes its place."""
    customer = made.ground.customers.late
    store.hold(lambda request: request.method == "GET" and request.path.endswith(".zip"))
    await _cut_off(made, store, customer)
    second = await made.ready("exporter")

    await _announced_once(made, watch, customer)
    assert "an archive that nobody was told of was deleted" in second.log()
    assert await second.terminate() == 0


async def test_wakes_when_another_one_is_done(made: Scene, store: Store, watch: Watch) -> None:
    """It stood still (SIGSTOP) on the point of completing its archive: that never lies over what was announced."""
    customer = made.ground.customers.held
    store.hold(lambda request: request.method == "POST" and "uploadId" in request.query)
    first = await made.ready("exporter")
    await _asks(made, customer)
    await store.reached()
    first.process.send_signal(signal.SIGSTOP)
    await _lease_ran_out(made)
    second = await made.ready("exporter")
    await _announced_once(made, watch, customer)
    first.process.send_signal(signal.SIGCONT)
    store.release()

    # By its lease, or by the store before that: there its upload has become the other's object, or is gone.
    await until("it sees that it was overtaken", lambda: _overtaken(first))
    await _announced_once(made, watch, customer)
    assert [await worker.terminate() for worker in (first, second)] == [0, 0]


async def test_killed_while_it_delivers(made: Scene, store: Store, watch: Watch, theirs: str) -> None:
    """Asked for by command; the next worker brings it there, whole, once, and nothing else lies there."""
    customer = made.ground.customers.stays
    first = await made.ready("exporter")
    await _asks(made, customer)
    ready = await watch.expect(ExportReady, customer)
    agreed = TransferAgreed(customer_id=customer, agreement_id="ta-1", agreed_at=NOW)
    await made.publish(agreed)
    known = "select exists (select from cases where customer_id = $1 and state::text like '%ta-1%')"
    await until("help with moving was agreed on", lambda: made.ask("exporter", known, customer))
    store.hold(lambda request: theirs in request.path and request.query.get("partNumber") == "3")
    code, said = await made.command("export", "deliver", customer, ready.export_id, "--to", "new-provider", "--json")
    assert code == 0, said
    await store.reached()
    await first.kill()
    await _lease_ran_out(made)
    await made.ready("exporter")
    delivered = await watch.expect(ExportDelivered, customer)

    assert (delivered.request_id, delivered.sha256) == (json.loads(said)["request_id"], ready.sha256)
    async with ObjectStore(made.ground.settings.s3) as real:
        assert await _digest(real, theirs, f"{ready.export_id}.zip") == ready.sha256
        assert await real.count_left(theirs, "") == 1
    await _said_all(made)
    assert len(watch.all(ExportDelivered, customer)) == 1


async def test_links_are_taken_back_by_command(made: Scene, watch: Watch) -> None:
    """The command says it to Kafka, the service does it, and the answer names the request and the new version."""
    customer = made.ground.customers.stays
    ready = await watch.expect(ExportReady, customer)
    code, said = await made.command("export", "link", customer, "--revoke", "--by", "support:7", "--json")
    assert code == 0, said
    revoked = await watch.expect(LinksRevoked, customer)

    assert (revoked.request_id, revoked.export_id) == (json.loads(said)["request_id"], ready.export_id)
    assert json.loads(said)["requested_by"] == "support:7"
    _, key = _bucket_and_key(ready)
    async with ObjectStore(made.ground.settings.s3) as real:
        versions = await real.versions_of(made.ground.settings.exports_bucket, key)
    assert versions == (revoked.object_version,)
    assert revoked.object_version != ready.volumes[0].object_version


async def test_killed_between_two_volumes_of_a_delta(made: Scene, store: Store, watch: Watch, tmp_path: Path) -> None:
    """One lies there, and nobody was told: the next worker makes both, and with the base they are all there is."""
    customer, settings = made.ground.customers.stays, made.ground.settings
    base = await watch.expect(ExportReady, customer)
    async with ObjectStore(settings.s3) as real:
        await real.put(BUCKET, f"{customer}/film.mp4", os.urandom(FILM))
        store.hold(
            lambda request: "vol002" in request.path and request.method == "POST" and "uploadId" in request.query
        )
        asked = {"request_id": "r-2", "requested_at": NOW, "since": base.export_id, "volume_size": 1 << 16}
        await made.publish(ExportRequested(customer_id=customer, **asked))
        await store.reached()
        assert len([key async for key, _ in real.versions(settings.exports_bucket, f"{customer}/")]) == 2
        await made.started[-1].kill()
        await _lease_ran_out(made)
        await made.ready("exporter")
        delta = await watch.expect(DeltaReady, customer)
        await _said_all(made)
        lying = [one async for one in real.versions(settings.exports_bucket, f"{customer}/")]
        for place in (one.place for one in (*base.volumes, *delta.volumes)):
            bucket, _, key = place.removeprefix("s3://").partition("/")
            (tmp_path / key.rpartition("/")[2]).write_bytes(await real.get(bucket, key))

    assert watch.all(DeltaReady, customer) == [delta]
    assert watch.all(ExportReady, customer) == [base]
    assert delta.base.sha256 == base.sha256
    told = {(one.place.rpartition("/")[2], one.object_version) for one in delta.volumes}
    assert {(key.rpartition("/")[2], version) for key, version in lying if "vol" in key} == told
    assert len(lying) == 1 + len(told) == 3
    first, last = tmp_path / f"{base.export_id}.zip", tmp_path / f"{delta.export_id}.vol002.zip"
    keys = made.ground.exporter_keys
    verdict = verify(last, delta.sha256, keys, by_library, first)
    assert (verdict.findings, verdict.exit_code) == ((), 0)
    assert verify(last, delta.sha256, keys, by_library).exit_code == 5


def _over(customer: str) -> ContractTerminated:
    return ContractTerminated(
        customer_id=customer,
        contract_id=f"{customer}-1",
        basis="breach",
        period_end=OVER.date(),
        terminated_at=OVER,
        time_zone="Europe/Stockholm",
    )


async def _asks(made: Scene, customer: str) -> None:
    await made.publish(
        ExportRequested(customer_id=customer, request_id="r-1", requested_by="staff:1", requested_at=NOW)
    )


async def _cut_off(made: Scene, store: Store, customer: str) -> None:
    """Let a worker begin the customer's export, and kill it where the store keeps it waiting."""
    first = await made.ready("exporter")
    await _asks(made, customer)
    await store.reached()
    await first.kill()
    await _lease_ran_out(made)


async def _lease_ran_out(made: Scene) -> None:
    """Let the half minute pass in which the next worker would wait for the one that is gone."""
    leased = "with ended as (update tasks set due_at = clock_timestamp() returning 1) select count(*) from ended"
    assert await made.ask("exporter", leased) == 1


async def _announced_once(made: Scene, watch: Watch, customer: str) -> None:
    """See that one archive was announced, that it lies there as it was announced, and nothing beside it."""
    ready = await watch.expect(ExportReady, customer)
    await _said_all(made)
    assert watch.all(ExportReady, customer) == [ready]
    bucket, key = _bucket_and_key(ready)
    async with ObjectStore(made.ground.settings.s3) as real:
        assert await real.versions_of(bucket, key) == (ready.volumes[0].object_version,)
        assert await real.count_left(bucket, f"{customer}/") == 1
        assert await _digest(real, bucket, key) == ready.sha256


async def _said_all(made: Scene) -> None:
    left = "select (select count(*) from tasks) + (select count(*) from outbox)"
    await until("nothing is left to do or to say", lambda: made.ask("exporter", left), lambda found: found == 0)


async def _overtaken(worker: Worker) -> bool:
    return any(words in worker.log() for words in ("another worker has the task", "UploadGoneError"))


async def _digest(real: ObjectStore, bucket: str, key: str) -> str:
    digest = hashlib.sha256()
    async for piece in real.stream(bucket, key):
        digest.update(piece)
    return digest.hexdigest()


def _bucket_and_key(ready: ExportReady) -> tuple[str, str]:
    bucket, _, key = ready.volumes[0].place.removeprefix("s3://").partition("/")
    return bucket, key
