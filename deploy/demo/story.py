"""The story: one leaves and is gone, one is a day late, one is held by the law, one stays and is untouched."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from shared.events.exporter import ConfirmationAccepted, ExportReady, ExportRefused
from shared.events.notice import ContractTerminated, DeadlineApproaching, NoticeAccepted, NoticeRejected
from shared.events.platform import (
    AutomaticRenewal,
    CalendarDays,
    ContractRegistered,
    CustomerInformed,
    ExportConfirmed,
    ExportRequested,
    LegalHoldPlaced,
    LegalHoldReleased,
    NoticeReceived,
    Vouched,
)
from shared.events.retention import AccountClosed, DeletionRequested, RetentionExpired

from .ground import BEGINNING, Ground
from .watch import StoryError, Watch

# How long a day of the story lasts, in seconds: long enough for every waker to see it.
DAY_LASTS: Final = 0.13
ONE_DAY: Final = timedelta(days=1)
_LAST_WARNING: Final = ":deletion:2027-09-29:1"
PERIOD_END: Final = date(2027, 6, 30)


@dataclass
class Story:
    """The story on *ground*, told step by step.

    *say* is told each chapter, *at* the date as it moves; *keep* fetches the archive as the customer would.
    """

    ground: Ground
    watch: Watch
    say: Callable[[str], None]
    at: Callable[[datetime], None]
    keep: Callable[[ExportReady], Awaitable[None]]
    now: datetime = BEGINNING

    async def tell(self) -> tuple[ExportReady, list[AccountClosed]]:
        """Tell the whole story; give the export and the two ends. Raises StoryError."""
        await self.contracts()
        await self.notices()
        await self.the_period_ends()
        ready = await self.the_data_is_handed_over()
        await self.the_law_holds_one()
        first = await self.ninety_days_later()
        await self.too_late_for_an_export()
        second = await self.the_hold_ends()
        self._the_others_were_left_alone()
        return ready, [first, second]

    async def contracts(self) -> None:
        """Register the four contracts."""
        self.say("Four schools have contracts until 30 June 2027, with 30 days' notice.")
        for customer in self.ground.customers.all():
            await self.watch.publish(_contract(customer))

    async def notices(self) -> None:
        """Two give notice in time, one a day late (P1)."""
        who = self.ground.customers
        self.say("Two give notice in May; service goes on until the period ends.")
        await self._until(datetime(2027, 5, 20, 8, tzinfo=UTC))
        for customer in (who.leaves, who.held):
            await self.watch.publish(self._notice(customer))
            await self.watch.expect(NoticeAccepted, customer)
        self.say("One writes on 1 June, a day late: it is told why, and when it can leave.")
        await self._until(datetime(2027, 6, 1, 8, tzinfo=UTC))
        await self.watch.publish(self._notice(who.late))
        answer = await self.watch.expect(NoticeRejected, who.late)
        _must(answer.reason == "late" and answer.earliest_end == date(2028, 6, 30), "the late notice was misjudged")

    async def the_period_ends(self) -> None:
        """Let the period end, and with it two contracts (P2)."""
        who = self.ground.customers
        self.say("The period ends; 90 days begin in which the data can be had.")
        _must(not self.watch.all(ContractTerminated, who.leaves), "a contract ended before its period")
        await self._until(datetime(2027, 7, 1, 6, tzinfo=UTC))
        for customer in (who.leaves, who.held):
            await self.watch.expect(ContractTerminated, customer)

    async def the_data_is_handed_over(self) -> ExportReady:
        """Ask for an export, fetch and confirm it (P3, P10)."""
        customer = self.ground.customers.leaves
        self.say("One asks for its data.")
        await self._until(datetime(2027, 7, 10, 9, tzinfo=UTC))
        await self.watch.publish(ExportRequested(customer_id=customer, request_id="first", requested_at=self.now))
        ready = await self.watch.expect(ExportReady, customer)
        # The customer fetches it; on the 91st day ours is deleted as a copy like any other.
        await self.keep(ready)
        await self.watch.publish(
            ExportConfirmed(
                customer_id=customer,
                export_id=ready.export_id,
                sha256=ready.sha256,
                confirmed_by="staff:17",
                confirmed_at=self.now,
            )
        )
        accepted = await self.watch.expect(ConfirmationAccepted, customer)
        _must(accepted.sha256 == ready.sha256, "another export than the one that was ready was accepted")
        return ready

    async def the_law_holds_one(self) -> None:
        """Place a hold on the other (P8)."""
        customer = self.ground.customers.held
        self.say("A court orders that the other one's data be kept.")
        await self._until(datetime(2027, 8, 2, 9, tzinfo=UTC))
        await self.watch.publish(
            LegalHoldPlaced(
                customer_id=customer, hold_id="hold-1", basis="RB 38:2", placed_by="legal:3", placed_at=self.now
            )
        )

    async def ninety_days_later(self) -> AccountClosed:
        """Let the window close: one is deleted, checked and closed, the other waits for its hold (P7, P11)."""
        who = self.ground.customers
        self.say("The 90 days are over: everything of the one is deleted and checked; the hold keeps the other's.")
        await self._until(datetime(2027, 9, 28, 6, tzinfo=UTC))
        # Nothing would be deleted of which the customer wasn't told.
        await self.watch.expect(CustomerInformed, who.leaves, such=lambda one: _LAST_WARNING in one.announcement_id)
        await self._until(datetime(2027, 9, 30, 6, tzinfo=UTC))
        await self.watch.expect(RetentionExpired, who.held)
        closed = await self.watch.expect(AccountClosed, who.leaves)
        _must(not self.watch.all(DeletionRequested, who.held), "a deletion was ordered under a legal hold")
        return closed

    async def too_late_for_an_export(self) -> None:
        """Ask for an export after the window: it is refused, with the date (P3)."""
        customer = self.ground.customers.leaves
        await self._until(datetime(2027, 10, 5, 9, tzinfo=UTC))
        await self.watch.publish(ExportRequested(customer_id=customer, request_id="second", requested_at=self.now))
        await self.watch.expect(ExportRefused, customer)

    async def the_hold_ends(self) -> AccountClosed:
        """Release the hold: the customer is told, and what it held goes."""
        customer = self.ground.customers.held
        self.say("The court is done; the customer is told, and what the hold kept is deleted.")
        await self._until(datetime(2027, 11, 15, 9, tzinfo=UTC))
        await self.watch.publish(
            LegalHoldReleased(customer_id=customer, hold_id="hold-1", released_by="legal:3", released_at=self.now)
        )
        # While it was held no deletion was announced, so it is now, and the customer has until then.
        warning = await self.watch.expect(DeadlineApproaching, customer, such=lambda one: one.change == "moved")
        arrived = functools.partial(_answers, warning)
        await self.watch.expect(CustomerInformed, customer, such=arrived)
        await self._until(warning.due_at + timedelta(hours=6))
        return await self.watch.expect(AccountClosed, customer)

    def _the_others_were_left_alone(self) -> None:
        for customer in (self.ground.customers.late, self.ground.customers.stays):
            _must(not self.watch.all(ContractTerminated, customer), f"{customer} was terminated")
            _must(not self.watch.all(DeletionRequested, customer), f"{customer} was to be deleted")

    def _notice(self, customer: str) -> NoticeReceived:
        return NoticeReceived(
            customer_id=customer, contract_id=f"{customer}-1", notice_id="mail-1", channel="email", received_at=self.now
        )

    async def _until(self, moment: datetime) -> None:
        """Let the days pass until *moment*, one by one, so that everything announced beforehand is."""
        while self.now < moment:
            self.now = min(self.now + ONE_DAY, moment)
            self.ground.move_to(self.now)
            self.at(self.now)
            # So that people can follow the days.
            await asyncio.sleep(DAY_LASTS)


def _contract(customer: str) -> ContractRegistered:
    return ContractRegistered(
        customer_id=customer,
        contract_id=f"{customer}-1",
        revision=1,
        period_start=date(2026, 7, 1),
        period_end=PERIOD_END,
        time_zone="Europe/Stockholm",
        renewal=AutomaticRenewal(months=12),
        notice=CalendarDays(days=30),
        notice_channels=("email", "letter"),
        authority=Vouched(),
        language="sv",
        transfer_help="not_agreed",
        service_class="standard",
    )


def _answers(warning: DeadlineApproaching, informed: CustomerInformed) -> bool:
    return informed.announcement_id == warning.announcement_id


def _must(true: bool, otherwise: str) -> None:  # noqa: FBT001 - what must be true is all it takes
    if not true:
        raise StoryError(otherwise)
