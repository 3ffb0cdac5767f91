"""The end of a customer of whom a law keeps rows: the account is closed save these, and years later they go too."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from deploy.demo.ground import make_sure_of_keys
from deploy.demo.watch import Watch
from shared.datamap.model import load
from shared.events.notice import ContractTerminated, NoticeAccepted
from shared.events.platform import (
    ContractRegistered,
    DeletionAcknowledged,
    DeletionApproved,
    Erased,
    ErasedInPart,
    LegalHoldPlaced,
    LegalHoldReleased,
)
from shared.events.retention import AccountClosed, CertificateAmended, DeletionRequested, DeletionStalled
from shared.events.vocabulary import TableCount
from shared.holder.right import Right
from shared.holder.rows import erase_rows
from shared.objects import ObjectStore
from shared.settings import Settings
from shared.signing.sshsig import ARCHIVE, CERTIFICATE
from tests.scenarios.phrases import contract, notice
from tests.scenarios.scene import Scene, scene
from tests.scenarios.waits import until

pytestmark = pytest.mark.asyncio(loop_scope="module")
OWNERS = ("notice", "retention", "exporter", "holder", "mailer", "platform")
WORKERS = ("notice", "retention", "exporter", "holder", "mailer")
SAID = (NoticeAccepted, ContractTerminated)
DONE = (DeletionAcknowledged, DeletionStalled, AccountClosed, CertificateAmended)
ENDS = datetime(2027, 6, 30, 22, tzinfo=UTC)
CLOSES = ENDS + timedelta(days=91)
LAST_DAY = date(2033, 12, 31)
# Noon of the day after: by then the last day is over wherever the books are kept.
DUE = datetime(2034, 1, 1, 12, tzinfo=UTC)

SCHEMA = """
    create table customers (
        id text primary key, name text not null, contact_email text,
        status text not null default 'active', status_revision integer not null default 0
    );
    create table users (id integer primary key, customer_id text not null references customers, email text);
    create table invoices (
        number integer primary key, customer_id text not null references customers,
        issued_on date not null, amount numeric not null, contact text
    );
    create index on users (customer_id);
    create index on invoices (customer_id);
"""
FILLED = """
    insert into customers values ('LEAVES', 'Ada', 'ada@example.org'), ('STAYS', 'David', 'david@example.org'),
        ('RETURNS', 'Cecilia', 'cecilia@example.org');
    insert into users values (1, 'LEAVES', 'a@example.org'), (2, 'LEAVES', null), (3, 'STAYS', 'd@example.org'),
        (4, 'RETURNS', 'c@example.org');
    insert into invoices values
        (1, 'LEAVES', '2019-05-02', 100, 'Ada'), (2, 'LEAVES', '2026-05-02', 120.50, 'Ada'),
        (3, 'STAYS', '2019-05-02', 100, 'David'), (4, 'STAYS', '2026-05-02', 120.50, 'David'),
        (5, 'RETURNS', '2028-05-02', 80, 'Cecilia');
"""
MAP = """
version: 1
system: platform
tenancy: rows
guard: "select 'the contract is active' from customers where id = $1 and status = 'active'"
tables:
  customers: {category: user, owner: {column: id}, minimise: {name: "-", contact_email: null}}
  users: {category: user, owner: {column: customer_id}}
  invoices:
    category: report
    owner: {column: customer_id}
    retain: {basis: "BFL 7:2", years: 7, counted_from: {end_of_year: issued_on}, time_zone: Europe/Stockholm}
    minimise: {contact: null}
"""
HOLDERS = """
version: 1
holders:
  platform-database: {kind: postgres, map: map.yaml, database: platform, answers_within: P1D}
  export-archives: {kind: s3, bucket: EXPORTS, prefix: "{customer}/", answered_by: exporter, answers_within: P1D}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Fill a platform that issues invoices, and start every service."""
    tmp_path = tmp_path_factory.mktemp("scene")
    async with scene(settings, tmp_path, *OWNERS) as one:
        make_sure_of_keys(one.ground.keys, CERTIFICATE)
        make_sure_of_keys(one.ground.exporter_keys, ARCHIVE)
        await _fill(one, SCHEMA)
        await _fill(one, FILLED)
        (tmp_path / "map.yaml").write_text(MAP)
        (tmp_path / "holders.yaml").write_text(HOLDERS.replace("EXPORTS", settings.exports_bucket))
        one.declared |= {
            "OFFRAMP_HOLDERS": str(tmp_path / "holders.yaml"),
            "OFFRAMP_MAP": str(tmp_path / "map.yaml"),
        }
        async with ObjectStore(settings.s3) as store:
            for bucket in (settings.exports_bucket, settings.certificates_bucket):
                await store.ensure_bucket(bucket)
            try:
                for worker in [await one.start(name) for name in WORKERS]:
                    await worker.ready()
                yield one
            finally:
                for customer in (one.ground.customers.leaves, one.ground.customers.held):
                    await store.delete_all_versions(settings.certificates_bucket, f"{customer}/")


async def test_years_later(made: Scene, tmp_path: Path) -> None:
    """All but the named rows goes after the 90 days; these go after their last day, and the certificate is amended.

    A holder that tells false numbers is found out, asked anew by a second person's word, and what it said is named.
    """
    leaves, stays = made.ground.customers.leaves, made.ground.customers.stays
    others = await _rows(made, stays)
    async with made.hearing(DeletionRequested, *SAID, *DONE) as watch:
        await made.publish(contract(leaves), contract(stays), notice(leaves))
        await watch.expect(NoticeAccepted, leaves)
        await _registered(made, leaves)
        made.ground.move_to(ENDS + timedelta(hours=8))
        await watch.expect(ContractTerminated, leaves)
        await _warned(made, leaves)
        await next(one for one in made.started if one.service == "holder").stop()
        made.ground.move_to(CLOSES)
        await _answered_falsely(made, watch, leaves)
        stalled = await watch.expect(DeletionStalled, leaves)
        assert (stalled.reason, stalled.holders) == ("counts", ("platform-database",))
        assert not watch.all(AccountClosed, leaves)
        await made.publish(_in_spite_of(stalled))
        await made.ready("holder")
        # It had said to keep one more than there is.
        gone = await watch.expect(DeletionStalled, leaves, 2)
        assert (gone.reason, gone.holders) == ("kept_gone", ("platform-database",))
        assert not watch.all(AccountClosed, leaves)
        await made.publish(_in_spite_of(gone))
        closed = await watch.expect(AccountClosed, leaves)

        (at,) = closed.retained
        assert (at.holder, closed.rows_deleted) == ("platform-database", 3)
        (kept,) = at.retained
        assert (kept.table, kept.basis, kept.until, kept.rows) == ("invoices", "BFL 7:2", LAST_DAY, 1)
        assert await _rows(made, leaves) == {
            "customers": [f"({leaves},-,,ended,1)"],
            "users": [],
            "invoices": [f"(2,{leaves},2026-05-02,120.50,)"],
        }
        told = await _verified(made, closed, tmp_path / "first")
        assert "laws kept 1 rows, which are listed; no addendum is here" in told
        _certified(_said(tmp_path / "first" / "certificate.json"))
        wakes_at = "select wakes_at from cases where customer_id = $1"
        assert await made.ask("retention", wakes_at, leaves) == DUE

        made.ground.move_to(DUE)
        amended = await watch.expect(CertificateAmended, leaves)

        assert (amended.retained, amended.rows_deleted) == ((), 2)
        assert amended.first_sha256 == closed.certificate_sha256
        assert await _rows(made, leaves) == {"customers": [], "users": [], "invoices": []}
        told = await _verified(made, closed, tmp_path / "second")
        assert "by the last of 1 good addenda all of them are gone" in told
        said = _said(tmp_path / "second" / "addendum-1" / "addendum.json")
        assert (said["erased"], said["gone"][0]["until"], said["gone"][0]["rows"]) == ("all", "2033-12-31", 1)

        outcomes = [type(one.outcome) for one in watch.all(DeletionAcknowledged, leaves) if one.holder == at.holder]
        assert (outcomes[:2], outcomes[-1]) == ([ErasedInPart, ErasedInPart], Erased)
        again = (one for one in watch.all(DeletionAcknowledged, leaves) if one.deletion_id == amended.deletion_id)
        assert [one.holder for one in again] == [at.holder]
        assert watch.all(DeletionStalled, leaves) == [stalled, gone]
        assert len(watch.all(AccountClosed, leaves)) == 1
        assert await _rows(made, stays) == others


async def test_the_law_a_hold_and_a_new_contract_meet(made: Scene, tmp_path: Path) -> None:
    """A hold keeps what has had its time, and a new contract does; with both over it goes, and what is new stays."""
    returns, ended_at = made.ground.customers.held, datetime(2034, 6, 30, 22, tzinfo=UTC)
    closes_at, due = ended_at + timedelta(days=91), datetime(2036, 1, 1, 12, tzinfo=UTC)
    others = await _rows(made, made.ground.customers.stays)
    async with made.hearing(DeletionRequested, *DONE) as watch:
        await _left(made, _ended(returns, "1", ended_at), closes_at)
        first = await watch.expect(AccountClosed, returns)
        assert [one.until for at in first.retained for one in at.retained] == [date(2035, 12, 31)]
        kept = await _rows(made, returns)

        await made.publish(_placed(returns, due))
        knows = "select exists (select from cases where customer_id = $1 and state::text like '%\"h-1\"%')"
        for service in ("retention", "holder"):
            await until(f"{service} knows the hold", partial(made.ask, service, knows, returns))
        made.ground.move_to(due)
        await _in(made, returns, "held")
        await made.publish(_came_back(returns, due))
        await _in(made, returns, "serving")
        await made.publish(_released(returns, due))
        stalled = await watch.expect(DeletionStalled, returns)
        assert (stalled.reason, stalled.deletion_id) == ("contract_active", first.deletion_id)
        assert {**await _rows(made, returns), "customers": kept["customers"]} == kept
        assert {one.deletion_id for one in watch.all(DeletionRequested, returns)} == {first.deletion_id}

        await _fill(made, WORKS_AGAIN)
        await _left(made, _ended(returns, "2", AGAIN_ENDED), AGAIN_ENDED + timedelta(days=91))
        again = await watch.expect(AccountClosed, returns, 2)
        assert [(one.until, one.rows) for at in again.retained for one in at.retained] == [(date(2043, 12, 31), 1)]
        assert (await _rows(made, returns))["invoices"] == [f"(6,{returns},2036-01-20,90,)"]
        assert await _rows(made, made.ground.customers.stays) == others
        await _verified(made, again, tmp_path)
        said = _said(tmp_path / "certificate.json")
        assert said["continues"]["certificate_sha256"] == first.certificate_sha256


async def _answered_falsely(made: Scene, watch: Watch, customer: str) -> None:
    """Delete what the holder that is away was to delete, and tell other numbers: more deleted, and more kept."""
    map_file = Path(made.declared["OFFRAMP_MAP"])
    await watch.expect(DeletionRequested, customer, 2)
    command = next(one for one in watch.all(DeletionRequested, customer) if one.holder == "platform-database")
    connection = await asyncpg.connect(made.ground.dsns["platform"])
    try:
        right = Right(CLOSES, moved_clock=True)
        done = await erase_rows(connection, load(map_file), customer, right=right, now=CLOSES)
    finally:
        await connection.close()
    assert isinstance(done, ErasedInPart)
    (lawful,) = done.retained
    more = {"invoices": 5}
    told = done.model_copy(
        update={
            "deleted": tuple(TableCount(table=one.table, rows=more.get(one.table, one.rows)) for one in done.deleted),
            "kept": tuple(TableCount(table=one.table, rows=one.rows + (one.table in more)) for one in done.kept),
            "retained": (lawful.model_copy(update={"rows": lawful.rows + 1}),),
        }
    )
    answer = {"deletion_id": command.deletion_id, "holder": command.holder, "answered_at": CLOSES}
    await made.publish(DeletionAcknowledged(customer_id=customer, outcome=told, **answer))


def _certified(said: Any) -> None:
    """Only what is gone counts as deleted; what the holder had said before is named, and so is who asked it anew."""
    assert (said["erased"], said["rows_deleted"]) == ("all_but_retained", 3)
    (database,) = [one for one in said["holders"] if one["holder"] == "platform-database"]
    assert {one["table"]: one["rows"] for one in database["deleted"]} == {"customers": 0, "invoices": 1, "users": 2}
    assert {"table": "invoices", "rows": 5} in database["disputed"]
    words = [(one["asked_anew"], one["in_spite_of"], one["approved_by"]) for one in said["approvals"]]
    assert words == [(True, ["counts"], "staff:2"), (False, ["kept_gone"], "staff:2")]


def _in_spite_of(stalled: DeletionStalled) -> DeletionApproved:
    """Say, as a second person, that it goes on: that the holder is asked anew, or that it is certified all the same."""
    return DeletionApproved(
        customer_id=stalled.customer_id,
        deletion_id=stalled.deletion_id,
        in_spite_of=stalled.missing,
        rows=1_000,
        requested_by="staff:1",
        approved_by="staff:2",
        approved_at=CLOSES + timedelta(minutes=1 + (stalled.reason == "kept_gone")),
    )


AGAIN_ENDED = datetime(2036, 1, 31, 23, tzinfo=UTC)
# Whoever is back has an address again, and invoices.
WORKS_AGAIN = """
    update customers set name = 'Cecilia', contact_email = 'cecilia@example.org' where id = 'RETURNS';
    insert into invoices values (6, 'RETURNS', '2036-01-20', 90, 'Cecilia');
"""


def _ended(customer: str, number: str, moment: datetime) -> ContractTerminated:
    return ContractTerminated(
        customer_id=customer,
        contract_id=f"{customer}-{number}",
        basis="breach",
        period_end=moment.date(),
        terminated_at=moment,
        time_zone="Europe/Stockholm",
    )


def _came_back(customer: str, moment: datetime) -> ContractRegistered:
    period = {"period_start": moment.date(), "period_end": date(2037, 12, 31)}
    return contract(customer).model_copy(update={"contract_id": f"{customer}-2", **period})


def _placed(customer: str, moment: datetime) -> LegalHoldPlaced:
    placed = {"hold_id": "h-1", "basis": "RB 38:2", "placed_by": "legal:3", "placed_at": moment - timedelta(days=1)}
    return LegalHoldPlaced.model_validate({"customer_id": customer, **placed})


def _released(customer: str, moment: datetime) -> LegalHoldReleased:
    return LegalHoldReleased(customer_id=customer, hold_id="h-1", released_by="legal:3", released_at=moment)


async def _left(made: Scene, over: ContractTerminated, closes_at: datetime) -> None:
    """End a contract, let its last warning arrive, and the window close."""
    customer = over.customer_id
    made.ground.move_to(over.terminated_at + timedelta(hours=8))
    await made.publish(over)
    await _in(made, customer, "window")
    made.ground.move_to(closes_at - timedelta(hours=12))
    informed = """
        select exists (select from cases where customer_id = $1 and jsonb_path_exists(
            state, '$.known.informed[*] ? (@.announcement_id like_regex "deletion.*:1$" && @.informed_at > $since)',
            jsonb_build_object('since', $2::text)))
    """
    since = over.terminated_at.isoformat().replace("+00:00", "Z")
    await until("the customer was told", lambda: made.ask("retention", informed, customer, since))
    ended = "select status = 'ended' from customers where id = $1"
    await until("marked as ended", lambda: made.ask("platform", ended, customer))
    made.ground.move_to(closes_at)


async def _in(made: Scene, customer: str, kind: str) -> None:
    asked = "select max(state ->> 'kind') from cases where customer_id = $1"
    await until(f"it is {kind}", lambda: made.ask("retention", asked, customer), lambda found: found == kind)


async def _fill(made: Scene, statements: str) -> None:
    customers = made.ground.customers
    parts = {"LEAVES": customers.leaves, "STAYS": customers.stays, "RETURNS": customers.held}
    connection = await asyncpg.connect(made.ground.dsns["platform"])
    try:
        for part, name in parts.items():
            statements = statements.replace(part, name)
        await connection.execute(statements)
    finally:
        await connection.close()


async def _rows(made: Scene, customer: str) -> dict[str, list[str]]:
    """Give all that the platform has of *customer*, as text."""
    queries = {
        "customers": "select t::text from customers t where id = $1",
        "users": "select t::text from users t where customer_id = $1 order by id",
        "invoices": "select t::text from invoices t where customer_id = $1 order by number",
    }
    return {name: [row[0] for row in await made.rows("platform", one, customer)] for name, one in queries.items()}


async def _registered(made: Scene, customer: str) -> None:
    known = "select exists (select from cases where customer_id = $1)"
    await until("retention knows the contract", lambda: made.ask("retention", known, customer))


async def _warned(made: Scene, customer: str) -> None:
    """Let the window be open, and then the last warning of the deletion reach *customer*."""
    window = "select exists (select from cases where customer_id = $1 and state ->> 'kind' = 'window')"
    await until("the window is open", lambda: made.ask("retention", window, customer))
    made.ground.move_to(CLOSES - timedelta(hours=12))
    informed = """
        select exists (select from cases where customer_id = $1 and jsonb_path_exists(
            state, '$.known.informed[*] ? (@.announcement_id like_regex "deletion.*:1$")'))
    """
    await until("the customer was told", lambda: made.ask("retention", informed, customer))
    ended = "select status = 'ended' from customers where id = $1"
    await until("marked as ended", lambda: made.ask("platform", ended, customer))


async def _verified(made: Scene, closed: AccountClosed, to: Path) -> str:
    """Fetch the certificate with all that lies beside it, and give what ``offramp verify`` says of it."""
    bucket, _, key = closed.certificate.removeprefix("s3://").partition("/")
    above = key.removesuffix("certificate.json")
    async with ObjectStore(made.ground.settings.s3) as store:
        async for one in store.list(bucket, above):
            file = to / one.key.removeprefix(above)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(await store.get(bucket, one.key))
    code, told = await made.command("verify", str(to), "--keys", str(made.ground.keys))
    assert code == 0, told
    return told


def _said(file: Path) -> Any:
    return json.loads(file.read_bytes())
