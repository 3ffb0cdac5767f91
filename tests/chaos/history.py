"""What is said to the notice service in one run: contracts, notices and withdrawals, drawn from a seed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random

from shared.decision import Fact
from shared.events.event import Event
from shared.events.platform import (
    AutomaticRenewal,
    CalendarDays,
    ContractRegistered,
    NoticeReceived,
    NoticeWithdrawn,
    Vouched,
)

SAID_AT = datetime(2027, 2, 22, 9, tzinfo=UTC)
# Before the first announcement of any contract, so that nothing is published but answers; and after all is over.
READ_AT = datetime(2027, 2, 25, 9, tzinfo=UTC)
ENDS_AT = datetime(2027, 7, 1, 6, tzinfo=UTC)
# So many customers speak at the same time: few enough that one's notices follow each other within milliseconds.
_AT_ONCE = 10
INPUTS = (ContractRegistered, NoticeReceived, NoticeWithdrawn)


@dataclass(frozen=True)
class History:
    """*sent*: each fact once, in the order in which it is first said; *sayings*: all that is said, each fact twice."""

    sent: tuple[Fact, ...]
    sayings: tuple[Fact, ...]

    def by_customer(self) -> dict[str, dict[str, list[Fact]]]:
        """Give each customer's facts by topic, in the order in which they are first said."""
        found: dict[str, dict[str, list[Fact]]] = defaultdict(lambda: defaultdict(list))
        for fact in self.sent:
            found[fact.event.customer_id][fact.event.type()].append(fact)
        return found


def draw(seed: int, size: int) -> History:
    """Draw a history of *size* facts: in order within a customer's topic, in any order otherwise, each said twice."""
    chance = Random(seed)
    sent: list[Fact] = []
    while len(sent) < size:
        names = [f"c{len(sent)}-{number}-{seed}" for number in range(_AT_ONCE)]
        sent += _interleaved(chance, [lane for name in names for lane in _customer(chance, name)])
    return History(tuple(sent[:size]), tuple(_twice(chance, sent[:size])))


def _customer(chance: Random, customer: str) -> Iterator[list[Fact]]:
    """Give one customer's topics: it may give notice twice, too often, by the wrong channel, or for nothing."""
    contract_id = f"{customer}-1"
    registered = range(1, 1 + chance.choice((0, 1, 1, 1, 2)))
    revisions = [_contract(customer, contract_id, revision, chance) for revision in registered]
    notices = [_notice(customer, contract_id, number, chance) for number in range(chance.choice((1, 2, 2, 3)))]
    taken_back = [_withdrawal(customer, contract_id, chance) for _ in range(chance.choice((0, 1, 1)))]
    for events in (revisions, notices, taken_back):
        yield [_fact(event, place) for place, event in enumerate(events)]


def _fact(event: Event, place: int) -> Fact:
    return Fact(f"{event.type()}-{event.customer_id}-{place}", "/platform/crm", SAID_AT, event)


def _contract(customer: str, contract_id: str, revision: int, chance: Random) -> ContractRegistered:
    return ContractRegistered(
        customer_id=customer,
        contract_id=contract_id,
        revision=revision,
        period_start=date(2026, 7, 1),
        period_end=date(2027, 6, 30),
        time_zone="Europe/Stockholm",
        renewal=AutomaticRenewal(months=12),
        # With 130 days the notices are late.
        notice=CalendarDays(days=chance.choice((30, 30, 130))),
        notice_channels=("email", "letter"),
        authority=Vouched(),
    )


def _notice(customer: str, contract_id: str, number: int, chance: Random) -> NoticeReceived:
    return NoticeReceived(
        customer_id=customer,
        contract_id=contract_id,
        notice_id=f"n{number}",
        channel=chance.choice(("email", "letter", "email", "phone")),
        received_at=SAID_AT + timedelta(hours=number),
    )


def _withdrawal(customer: str, contract_id: str, chance: Random) -> NoticeWithdrawn:
    number = chance.choice((0, 0, 1, 7))
    return NoticeWithdrawn(
        customer_id=customer,
        contract_id=contract_id,
        notice_id=f"n{number}",
        withdrawn_at=SAID_AT + timedelta(hours=number, minutes=30),
    )


def _interleaved(chance: Random, lanes: list[list[Fact]]) -> Iterator[Fact]:
    """Mix *lanes*, keeping the order within each."""
    order = [place for place, lane in enumerate(lanes) for _ in lane]
    chance.shuffle(order)
    rest = [iter(lane) for lane in lanes]
    return (next(rest[place]) for place in order)


def _twice(chance: Random, sent: list[Fact]) -> Iterator[Fact]:
    """Say each fact a second time, at once or up to three hundred sayings later, maybe behind its successors."""
    places = [(place, fact) for place, fact in enumerate(sent)]
    again = [(place + chance.choice((0.5, chance.uniform(1, 300))), fact) for place, fact in enumerate(sent)]
    return (fact for _, fact in sorted([*places, *again], key=lambda said: said[0]))
