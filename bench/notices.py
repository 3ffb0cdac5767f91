"""Events of the notice service to benchmark with: contracts, revisions, notices, withdrawals, mixed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from aiokafka import AIOKafkaProducer

from services.notice.policy import load_notice_policy
from shared.caserows import key_hash
from shared.decision import Fact
from shared.declared import policy_file, rules_folder
from shared.events.envelope import write
from shared.events.event import Event
from shared.events.platform import (
    AutomaticRenewal,
    CalendarDays,
    ContractRegistered,
    NoticeReceived,
    NoticeWithdrawn,
    Vouched,
)
from shared.settings import read_settings

from .ground import NOON, PARTITIONS, fact

POLICY = load_notice_policy(policy_file(), rules_folder())
CUSTOMERS = 50_000


def mixed_events(count: int, customers: int = CUSTOMERS) -> Iterator[Fact]:
    """Give *count* events: customers come one after the other, and each one's story goes on a tenth of all later.

    So all types are mixed at any time, and a customer's events lie as far apart as a lag allows.
    """
    steps = count // customers
    apart = max(customers // 10, 1)
    for number, (_, step, customer) in enumerate(sorted(_moments(customers, steps, apart))):
        yield fact(_event(f"c{customer}", step % 6, step), number)


def _moments(customers: int, steps: int, apart: int) -> Iterator[tuple[int, int, int]]:
    for customer in range(customers):
        for step in range(steps):
            yield customer + step * apart, step, customer


def _event(customer: str, step: int, story: int) -> Event:
    contract = f"k-{customer}"
    if step in (0, 3):
        return ContractRegistered(
            customer_id=customer,
            contract_id=contract,
            revision=story + 1,
            period_start=date(2026, 1, 1),
            period_end=date(2026, 12, 31),
            time_zone="Europe/Stockholm",
            renewal=AutomaticRenewal(months=12),
            notice=CalendarDays(days=30),
            notice_channels=("email", "letter"),
            authority=Vouched(),
        )
    notice = f"n-{story}"
    if step in (1, 4):
        return NoticeReceived(
            customer_id=customer, contract_id=contract, notice_id=notice, channel="email", received_at=NOON
        )
    return NoticeWithdrawn(customer_id=customer, contract_id=contract, notice_id=f"n-{story - 1}", withdrawn_at=NOON)


async def publish(prefix: str, facts: Iterable[Fact]) -> None:
    """Put *facts* into their topics, each in its customer's partition."""
    sender = AIOKafkaProducer(bootstrap_servers=read_settings().kafka, max_batch_size=2**19, linger_ms=20)
    await sender.start()
    last = None
    for one in facts:
        value, headers = write(one)
        customer = one.event.customer_id
        last = await sender.send(
            prefix + one.event.type(),
            value,
            key=customer.encode(),
            partition=key_hash(customer) % PARTITIONS,
            headers=list(headers),
        )
    await last
    await sender.stop()
