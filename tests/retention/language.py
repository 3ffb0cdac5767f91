"""Short words for the retention service's tests, and holders and a performer that do as they are told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any

from services.retention.declared import load_retention_policy
from services.retention.domain import domain
from services.retention.policy import Escalation, RetentionPolicy
from services.retention.tasks import (
    Amend,
    Certified,
    Certify,
    Check,
    Checked,
    EmptiedColumns,
    HolderReading,
    Mention,
    Searched,
    Survey,
    Surveyed,
    TableReading,
)
from shared import holds
from shared.decision import Outcome, Task
from shared.events.event import Event
from shared.events.notice import ContractTerminated, DeadlineApproaching
from shared.events.platform import (
    CalendarDays,
    ContractRegistered,
    CustomerInformed,
    DeletionAcknowledged,
    Erased,
    ErasedInPart,
    HeldRows,
    LegalHoldPlaced,
    LegalHoldReleased,
    NoRenewal,
    NotErased,
    RetainedRows,
    Vouched,
)
from shared.events.retention import DeletionRequested
from shared.events.vocabulary import TableCount, TableFingerprint
from tests.casework import Casework, at

DEPLOY = Path(__file__).parents[2] / "deploy"
POLICY = load_retention_policy(DEPLOY / "policy.yaml", DEPLOY / "holders.yaml")
# Whoever is told for the second time is the lead.
SOON_TO_THE_LEAD = POLICY.model_copy(
    update={"escalation": (Escalation(after=1, to="operators"), Escalation(after=2, to="lead"))}
)
HOLDERS = tuple(holder.name for holder in POLICY.holders)
OVER = at("2027-01-01T00:00")
# Termination on 1 January, 90 full days after that day: to the end of 1 April.
CLOSES = at("2027-04-02T00:00")
DAY = timedelta(days=1)
DELETION = "acme:2027-01-01"


def casework(policy: RetentionPolicy = POLICY, now: datetime = OVER) -> Casework:
    """Give a customer never heard of, whom every announcement reaches at once."""
    return Casework(domain(policy), now, answer=delivered)


def unreached(policy: RetentionPolicy = POLICY, now: datetime = OVER) -> Casework:
    """Give a customer never heard of, whom no announcement reaches."""
    return Casework(domain(policy), now)


def delivered(event: Event, now: datetime) -> Event | None:
    """Say that an announcement arrived."""
    return informed(event.announcement_id, now) if isinstance(event, DeadlineApproaching) else None


def informed(announcement_id: str, now: datetime, outcome: Any = "delivered") -> CustomerInformed:
    """Say what became of an announcement."""
    return CustomerInformed(
        customer_id="acme", announcement_id=announcement_id, channel="email", outcome=outcome, informed_at=now
    )


def contract(contract_id: str = "c1", **changes: Any) -> ContractRegistered:
    """Register a contract for the year 2026."""
    values: dict[str, Any] = {
        "revision": 1,
        "period_start": date(2026, 1, 1),
        "period_end": date(2026, 12, 31),
        "time_zone": "Europe/Stockholm",
        "renewal": NoRenewal(),
        "notice": CalendarDays(days=30),
        "notice_channels": ("email",),
        "authority": Vouched(),
    }
    return ContractRegistered(customer_id="acme", contract_id=contract_id, **{**values, **changes})


def terminated(contract_id: str = "c1", moment: datetime = OVER, **changes: Any) -> ContractTerminated:
    """End a contract with the year 2026."""
    values: dict[str, Any] = {"basis": "expiry", "period_end": date(2026, 12, 31), "time_zone": "Europe/Stockholm"}
    return ContractTerminated(
        customer_id="acme", contract_id=contract_id, terminated_at=moment, **{**values, **changes}
    )


def hold(moment: datetime, hold_id: str = "h1", **values: Any) -> LegalHoldPlaced:
    """Place a legal hold."""
    return LegalHoldPlaced(
        customer_id="acme", hold_id=hold_id, basis="T 1234-26", placed_by="staff-7", placed_at=moment, **values
    )


def held_by_all() -> holds.Holds:
    """Give a hold of everything, as it is kept."""
    return holds.placed((), hold(OVER))


def release(moment: datetime, hold_id: str = "h1") -> LegalHoldReleased:
    """Release a legal hold."""
    return LegalHoldReleased(customer_id="acme", hold_id=hold_id, released_by="staff-7", released_at=moment)


def erased(holder: str, rows: int = 10, left: int = 0, deletion_id: str = DELETION, touched: int = 0) -> Event:
    """Answer that all is deleted, of one table, and that *left* rows of it are not."""
    bystander = TableFingerprint(
        table="users", rows_before=5, rows_after=5 - touched, before="aa", after="bb" if touched else "aa"
    )
    outcome = Erased(
        deleted=(TableCount(table="users", rows=rows),),
        remaining=(TableCount(table="users", rows=left),),
        bystanders=(bystander,),
    )
    return _answer(holder, deletion_id, outcome)


def erased_in_part(
    holder: str, rows: int = 7, kept: int = 3, left: int = 0, hold_id: str = "h1", deletion_id: str = DELETION
) -> Event:
    """Answer that of one table all is deleted but what the hold keeps, and that *left* rows are not besides."""
    outcome = ErasedInPart(
        deleted=(TableCount(table="users", rows=rows),),
        kept=(TableCount(table="users", rows=kept),),
        held=(HeldRows(table="users", rows=kept, hold_id=hold_id),),
        needed=(),
        remaining=(TableCount(table="users", rows=left),),
        bystanders=(TableFingerprint(table="users", rows_before=5, rows_after=5, before="aa", after="aa"),),
    )
    return _answer(holder, deletion_id, outcome)


UNTIL = date(2033, 12, 31)
_ANSWERS = count()


def by_law(until: date = UNTIL, rows: int = 3) -> RetainedRows:
    """Say that a law keeps so many rows of the one table."""
    return RetainedRows(table="users", basis="BFL 7 kap. 2 §", until=until, rows=rows)


def retains(
    holder: str,
    *laws: RetainedRows,
    rows: int = 7,
    needed: int = 0,
    deletion_id: str = DELETION,
    moment: datetime | None = None,
    **changes: Any,
) -> Event:
    """Answer that of one table all is deleted but what laws keep, and what such rows need."""
    some = laws or (by_law(),)
    kept = sum(one.rows for one in some) + needed
    values: dict[str, Any] = {
        "deleted": (TableCount(table="users", rows=rows),),
        "kept": (TableCount(table="users", rows=kept),),
        "held": (),
        "needed": (TableCount(table="users", rows=needed),),
        "retained": some,
        "minimised": (TableCount(table="users", rows=kept),),
        "remaining": (TableCount(table="users", rows=0),),
        "bystanders": (TableFingerprint(table="users", rows_before=5, rows_after=5, before="aa", after="aa"),),
    }
    return _answer(holder, deletion_id, ErasedInPart(**{**values, **changes}), moment)


def with_laws(read: Iterable[HolderReading], laws: Mapping[str, tuple[RetainedRows, ...]]) -> tuple[HolderReading, ...]:
    """Let a check find what laws keep, by holder."""
    return tuple(_with_laws(one, laws.get(one.holder, ())) for one in read)


def _with_laws(one: HolderReading, laws: tuple[RetainedRows, ...]) -> HolderReading:
    if not laws:
        return one
    table = one.tables[0].model_copy(update={"kept": sum(law.rows for law in laws)})
    emptied = (EmptiedColumns(table="users", columns=("email",)),)
    return one.model_copy(update={"tables": (table,), "retained": laws, "emptied": emptied})


def silent(holder: str) -> Event:
    """Answer that all is deleted, without a word on anybody else's rows."""
    gone, left = TableCount(table="users", rows=10), TableCount(table="users", rows=0)
    return _answer(holder, DELETION, Erased(deleted=(gone,), remaining=(left,), bystanders=()))


def not_erased(holder: str, reason: Any = "failed", deletion_id: str = DELETION) -> Event:
    """Answer that nothing was deleted."""
    return _answer(holder, deletion_id, NotErased(reason=reason))


def answers_of(work: Casework, deletion_id: str = DELETION) -> list[Event]:
    """Let every holder that was commanded answer well."""
    names = dict.fromkeys(event.holder for event in work.all(DeletionRequested) if event.deletion_id == deletion_id)
    return [erased(name, deletion_id=deletion_id) for name in names]


SEARCHED = Searched(columns=12, passed_over=("plans",), identifiers=3, left_out=1, others_unknown=False)


def readings(
    holders: Iterable[str] = HOLDERS,
    own: int = 0,
    fingerprint: str = "aa",
    table: str = "users",
    kept: Mapping[str, int] = MappingProxyType({}),
    copied: Mapping[str, int] = MappingProxyType({}),
) -> tuple[HolderReading, ...]:
    """Read one table at each holder, with so many rows *kept* there, and the id in so many that are nobody's."""
    one = TableReading(table=table, own=own, others=5, fingerprint=fingerprint)
    return tuple(
        HolderReading(
            holder=holder,
            tables=(one.model_copy(update={"kept": kept.get(holder, 0)}),),
            searched=SEARCHED.model_copy(update={"mentions": _mentions(copied.get(holder, 0))}),
        )
        for holder in holders
    )


def _mentions(rows: int) -> tuple[Mention, ...]:
    return (Mention(table="crm_sync", column="note", rows=rows),) if rows else ()


def surveyed(task: Survey, due: int = 1, customers: int = 1000, **changes: Any) -> Surveyed:
    """Read ten rows at each holder, with so many customers *due*."""
    values: dict[str, Any] = {"readings": readings(task.holders, own=10), "usual_rows": None, **changes}
    step = {"deletion_id": task.deletion_id, "attempt": task.attempt}
    return Surveyed(customer_id="acme", due=due, customers=customers, **step, **values)


def performed(task: Task) -> Outcome:
    """Perform a task as it should go."""
    if isinstance(task, Survey):
        return surveyed(task)
    if isinstance(task, Check):
        return Checked(
            customer_id="acme", deletion_id=task.deletion_id, attempt=task.attempt, readings=readings(task.holders)
        )
    assert isinstance(task, Certify | Amend)
    return Certified(
        customer_id="acme",
        deletion_id=task.deletion_id,
        attempt=task.attempt,
        certificate="s3://proof/acme.json",
        certificate_sha256="0" * 64,
    )


def deleting(policy: RetentionPolicy = POLICY) -> Casework:
    """Carry a customer to where every holder is commanded."""
    work = casework(policy)
    work.tell(contract(), terminated())
    work.until(CLOSES)
    work.perform(performed)
    assert len(work.all(DeletionRequested)) == len(HOLDERS)
    return work


def _answer(holder: str, deletion_id: str, outcome: Any, moment: datetime | None = None) -> DeletionAcknowledged:
    # Each later than the one before it: what is no later is that one, told again.
    moment = moment or datetime(2027, 4, 2, tzinfo=UTC) + next(_ANSWERS) * timedelta(microseconds=1)
    return DeletionAcknowledged(
        customer_id="acme", deletion_id=deletion_id, holder=holder, outcome=outcome, answered_at=moment
    )
