"""What customers do: contracts, notices, holds, requests, each at a moment drawn from the seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Literal, TypeAlias

from shared.events.event import Event
from shared.events.notice import ContractTerminated
from shared.events.platform import (
    Appointed,
    AutomaticRenewal,
    ByCustomer,
    ByProvider,
    CalendarDays,
    ContractRegistered,
    Everything,
    ExportRequested,
    Ground,
    LegalHoldPlaced,
    LegalHoldReleased,
    NoRenewal,
    NoticeReceived,
    NoticeWithdrawn,
    OfTables,
    OpenEnded,
    SwitchCompleted,
    TransferAgreed,
    TransferWithdrawn,
    TransitionProlonged,
    UntilFurtherNotice,
    Vouched,
)

START = datetime(2026, 1, 10, tzinfo=UTC)
ZONES = ("Europe/Stockholm", "UTC", "America/New_York", "Pacific/Auckland", "Asia/Kolkata")
CHANNELS = ("email", "letter")
GROUNDS: tuple[Ground, ...] = ("switch", "on_premises", "erasure")
_HELD_TABLES = (("users",), ("invoices",), ("invoices", "users"))
# What has to have become of the customer at the end.
Fate: TypeAlias = Literal["closed", "untouched", "either"]


@dataclass
class Story:
    """One customer: its events, by the day on which each is published, and its end."""

    customer_id: str
    kind: str
    fate: Fate
    events: list[tuple[float, Event]] = field(default_factory=list)
    # Until when the customer goes on working, in days.
    works_until: float = 400.0
    # The last days of laws that keep its invoices; none issues none.
    books: tuple[date, ...] = ()
    # It asks for what it has confirmed to be deleted early.
    hurries: bool = False
    # From when until when there is another contract, after the account was closed, or nearly.
    again: tuple[float, float] | None = None
    # Until when its holders are away that were so when they were commanded: after that other contract, too.
    away_until: float | None = None
    # It comes back right after they were commanded, and has left again before they would have to have answered.
    at_once: bool = False

    def at(self, day: float, event: Event) -> None:
        """Let *event* be published on *day*."""
        self.events.append((max(day, 0.01), event))


def moment(day: float) -> datetime:
    """Give the moment so many days after the beginning, in whole milliseconds."""
    return START + timedelta(milliseconds=round(day * 86_400_000))


def _contract(
    rng: Random,
    story: Story,
    end: float | None,
    *,
    renews: bool,
    revision: int = 1,
    start: float = -300,
    renewal: AutomaticRenewal | UntilFurtherNotice | OpenEnded | None = None,
    heard: float | None = None,
    name: str = "main",
    zone: str | None = None,
    givers: tuple[str, ...] = (),
) -> None:
    first = rng.uniform(0, 1) if revision == 1 else start
    story.at(
        first if heard is None else heard,
        ContractRegistered(
            customer_id=story.customer_id,
            contract_id=f"{story.customer_id}-{name}",
            revision=revision,
            period_start=moment(start).date(),
            period_end=None if end is None else moment(end).date(),
            time_zone=zone or (rng.choice(ZONES) if revision == 1 else _zone(story)),
            renewal=renewal or (AutomaticRenewal(months=12) if renews else NoRenewal()),
            notice=CalendarDays(days=30),
            notice_channels=CHANNELS,
            authority=Appointed(by=givers) if givers else Vouched(),
        ),
    )


def _zone(story: Story) -> str:
    return next(event.time_zone for _, event in story.events if isinstance(event, ContractRegistered))


def _notice(
    rng: Random,
    story: Story,
    day: float,
    contract: str = "main",
    notice_id: str = "n1",
    ground: Ground = "non_renewal",
    channels: tuple[str, ...] = CHANNELS,
    given_by: str | None = None,
) -> str:
    heard = NoticeReceived(
        customer_id=story.customer_id,
        contract_id=f"{story.customer_id}-{contract}",
        notice_id=f"{story.customer_id}-{notice_id}",
        channel=rng.choice(channels),
        received_at=moment(day),
        ground=ground,
        given_by=given_by,
    )
    # Publishing takes a while, and sometimes overtakes the contract's own news.
    story.at(day + rng.choice([0, 0.01, 0.3]), heard)
    return heard.notice_id


def _hold(rng: Random, story: Story, begin: float, end: float, name: str, *, whole: bool = False) -> None:
    hold = f"{story.customer_id}-{name}"
    who = story.customer_id
    # Some holds come to their end by themselves, and some are of a part.
    ends_by_itself = rng.random() < 0.3
    placed = LegalHoldPlaced(
        customer_id=who,
        hold_id=hold,
        basis="SFS 1999:1078",
        placed_by="staff-1",
        placed_at=moment(begin),
        scope=OfTables(tables=rng.choice(_HELD_TABLES)) if rng.random() < 0.3 and not whole else Everything(),
        ends_at=moment(end) if ends_by_itself else None,
    )
    lifted = LegalHoldReleased(customer_id=who, hold_id=hold, released_by="staff-2", released_at=moment(end))
    late = rng.choice([0, 0, 0, 0.5])
    story.at(begin + late, placed)
    if not ends_by_itself:
        story.at(end, lifted)


def leaves(rng: Random, story: Story, end: float) -> None:
    """Give notice in time, or simply let the contract run out."""
    _contract(rng, story, end, renews=False)
    if rng.random() < 0.7:
        _notice(rng, story, rng.uniform(0, end - 32))


def leaves_renewing(rng: Random, story: Story, end: float) -> None:
    """Give notice in time, without which the contract would go on."""
    _contract(rng, story, end, renews=True)
    _notice(rng, story, rng.uniform(0, end - 32))
    story.fate = "either"


def late(rng: Random, story: Story, end: float) -> None:
    """Give notice too late, so that the contract goes on."""
    _contract(rng, story, end, renews=True)
    _notice(rng, story, rng.uniform(end - 28, end - 1))
    story.fate = "untouched"


def stays(rng: Random, story: Story, end: float) -> None:
    """Say nothing; perhaps a notice for a contract that doesn't exist."""
    _contract(rng, story, end, renews=True)
    if rng.random() < 0.3:
        _notice(rng, story, rng.uniform(0, end), "typo", "n2")
    story.fate = "untouched"


def held(rng: Random, story: Story, end: float) -> None:
    """Leave under one or two holds, placed and released whenever it suits the court."""
    leaves(rng, story, end)
    for name in ("h1", "h2")[: rng.randint(1, 2)]:
        begin = rng.choice([rng.uniform(0, end), rng.uniform(end + 85, end + 95), end + 91 + rng.uniform(-0.2, 0.6)])
        _hold(rng, story, begin, begin + rng.choice([0.2, 2.0, 20.0, 40.0]) * rng.random(), name)


def held_for_good(rng: Random, story: Story, end: float) -> None:
    """Leave, but under a hold that is placed in time and never released."""
    leaves(rng, story, end)
    placed = rng.uniform(0, end + 80)
    _hold(rng, story, placed, placed + 1000, "h1", whole=True)
    story.events = [one for one in story.events if not isinstance(one[1], LegalHoldReleased)]
    story.fate = "untouched"


def breach(rng: Random, story: Story, end: float) -> None:
    """Break the contract, which another service then ends."""
    _contract(rng, story, end, renews=rng.random() < 0.5)
    day = rng.uniform(1, end)
    story.at(
        day,
        ContractTerminated(
            customer_id=story.customer_id,
            contract_id=f"{story.customer_id}-main",
            basis=rng.choice(["breach", "bankruptcy"]),
            period_end=moment(day).date(),
            terminated_at=moment(day),
            time_zone=_zone(story),
        ),
    )
    story.works_until = day - 0.1


def withdrawn(rng: Random, story: Story, end: float) -> None:
    """Give notice and take it back."""
    _contract(rng, story, end, renews=rng.random() < 0.7)
    day = rng.uniform(0, end - 32)
    notice = _notice(rng, story, day)
    back = day + rng.uniform(0, 20)
    story.at(
        back,
        NoticeWithdrawn(
            customer_id=story.customer_id,
            contract_id=f"{story.customer_id}-main",
            notice_id=notice,
            withdrawn_at=moment(back),
        ),
    )
    story.fate = "either"


def comes_back(rng: Random, story: Story, end: float) -> None:
    """Leave, and be registered anew well before the window closes."""
    leaves(rng, story, end)
    _contract(rng, story, 420, renews=True, revision=2, start=end + rng.uniform(2, 75))
    story.fate = "untouched"


def breach_to_come(rng: Random, story: Story, end: float) -> None:
    """Hear weeks ahead of the day on which another service ends the contract."""
    _contract(rng, story, 400, renews=True)
    story.at(
        end - 30,
        ContractTerminated(
            customer_id=story.customer_id,
            contract_id=f"{story.customer_id}-main",
            basis="other",
            period_end=moment(end).date(),
            terminated_at=moment(end),
            time_zone=_zone(story),
        ),
    )


def until_further_notice(rng: Random, story: Story, end: float) -> None:
    """Give notice of a contract that has no end, or none any more."""
    own = UntilFurtherNotice(notice=CalendarDays(days=14))
    open_ended = rng.random() < 0.5
    _contract(rng, story, None if open_ended else end - 20, renews=True, renewal=OpenEnded() if open_ended else own)
    _notice(rng, story, end - rng.uniform(1, 15))


def late_for_a_month(rng: Random, story: Story, end: float) -> None:
    """Give notice too late, which stands for the next month's end."""
    _contract(rng, story, end, renews=True, renewal=AutomaticRenewal(months=1))
    _notice(rng, story, rng.uniform(end - 29, end - 1))


def switches(rng: Random, story: Story, end: float) -> None:
    """Leave by the Data Act: to another provider, whose transition may be prolonged, or with everything erased."""
    _contract(rng, story, 400, renews=True)
    day, ground = rng.uniform(1, end - 30), rng.choice(GROUNDS)
    notice = _notice(rng, story, day, ground=ground)
    if rng.random() < 0.5:
        asked = day + rng.uniform(0.5, 40)
        story.at(
            asked,
            TransitionProlonged(
                customer_id=story.customer_id,
                contract_id=f"{story.customer_id}-main",
                notice_id=notice,
                prolongation_id=f"{notice}-p1",
                by=rng.choice([ByCustomer(), ByProvider(reason="volume")]),
                until=moment(day + rng.uniform(50, 80)).date(),
                prolonged_at=moment(asked),
            ),
        )
    story.works_until = day + 25


def completes(rng: Random, story: Story, end: float) -> None:
    """Switch, and be done: too early while the notice still runs, in the transition, or when it is over."""
    _contract(rng, story, 400, renews=True)
    day = rng.uniform(1, end - 30)
    notice = _notice(rng, story, day, ground=rng.choice(GROUNDS[:2]))
    done = day + rng.uniform(25, 65)
    story.at(
        done + rng.choice([0, 0.01, 2.0]),
        SwitchCompleted(
            customer_id=story.customer_id,
            contract_id=f"{story.customer_id}-main",
            notice_id=notice,
            completed_at=moment(done),
            confirmed_by="contact:1",
        ),
    )
    story.works_until = day + 25


def moved(rng: Random, story: Story, end: float) -> None:
    """Have the period shortened, prolonged or moved to another time zone after the notice."""
    _contract(rng, story, end, renews=True)
    _notice(rng, story, rng.uniform(0, end - 34))
    heard = rng.uniform(end - 34, end - 2)
    _contract(rng, story, end + rng.uniform(-1, 20), renews=True, revision=2, heard=heard, zone=rng.choice(ZONES))
    story.works_until = end - 3


def told_twice(rng: Random, story: Story, end: float) -> None:
    """Send the same notice by two channels."""
    _contract(rng, story, end, renews=True)
    day = rng.uniform(0, end - 40)
    for _ in range(2):
        _notice(rng, story, day + rng.uniform(0, 5))


def two_contracts(rng: Random, story: Story, end: float) -> None:
    """Let one of two contracts run out, and keep the other, or leave that one too, later."""
    _contract(rng, story, end - rng.uniform(0, 30), renews=False, name="first")
    leaves_all = rng.random() < 0.5
    _contract(rng, story, end if leaves_all else 400, renews=not leaves_all)
    _notice(rng, story, rng.uniform(0, end - 32), contract="first")
    story.fate = "closed" if leaves_all else "untouched"


def says_it_wrong(rng: Random, story: Story, end: float) -> None:
    """Give notice by telephone, or by a channel that the contract doesn't know: the contract goes on."""
    _contract(rng, story, end, renews=True)
    _notice(rng, story, rng.uniform(0, end - 32), channels=("phone", "fax"))
    story.fate = "untouched"


def may_not_say_it(rng: Random, story: Story, end: float) -> None:
    """Let somebody give notice whom the contract doesn't name, or nobody: it goes on, unless one who may does too."""
    _contract(rng, story, end, renews=True, givers=("contact:1", "contact:2"))
    _notice(rng, story, rng.uniform(0, end - 40), given_by=rng.choice([None, "contact:3"]))
    if rng.random() < 0.5:
        _notice(rng, story, rng.uniform(0, end - 40), notice_id="n2", given_by="contact:2")
    else:
        story.fate = "untouched"


def says_it_again(rng: Random, story: Story, end: float) -> None:
    """Give a second notice under another name, which changes nothing."""
    _contract(rng, story, end, renews=True)
    for number in range(2):
        _notice(rng, story, rng.uniform(0, end - 40), notice_id=f"n{number}")


def keeps_books(rng: Random, story: Story, end: float) -> None:
    """Leave soon, with invoices that laws keep, perhaps under a hold about the day on which one of them has its end."""
    end = 35 + (end - 35) / 7
    leaves(rng, story, end)
    _issue(rng, story, end)
    if rng.random() < 0.6:
        begin = min((rng.choice(story.books) - START.date()).days, end + 150) + rng.uniform(-3, 3)
        begin = rng.choice([begin, end + 91 + rng.uniform(-2, 2)])
        _hold(rng, story, begin, begin + rng.choice([0.2, 2.0, 20.0, 40.0]) * rng.random(), "h1")
    story.works_until = end - 1


def leaves_twice(rng: Random, story: Story, end: float) -> None:
    """Leave, come back when all is gone but what laws keep, or nearly so, and leave again by a breach.

    Some have holders that are away all that time, with the commands of before lying there for them.
    """
    end = 35 + (end - 35) / 15
    leaves(rng, story, end)
    _issue(rng, story, end)
    back = end + rng.choice([rng.uniform(90, 95), rng.uniform(95, 105)])
    out = back + rng.uniform(8, 12)
    comes_again(rng, story, back, out)
    story.works_until, story.again = end - 1, (back, out)
    story.away_until = rng.choice([None, out + rng.uniform(1, 60)])


def leaves_at_once(rng: Random, story: Story, end: float) -> None:
    """Leave, and come back for some hours as soon as the deletion is commanded; when that is, the world knows."""
    end = 35 + (end - 35) / 15
    leaves(rng, story, end)
    _issue(rng, story, end)
    story.works_until, story.at_once = end - 1, True


def comes_again(rng: Random, story: Story, back: float, out: float) -> None:
    """Have another contract, which ends by a breach."""
    _contract(rng, story, back + 300, renews=True, revision=1, start=back, heard=back, name="again", zone=_zone(story))
    over = ContractTerminated(
        customer_id=story.customer_id,
        contract_id=f"{story.customer_id}-again",
        basis="breach",
        period_end=moment(out).date(),
        terminated_at=moment(out),
        time_zone=_zone(story),
    )
    story.at(out, over)


def _issue(rng: Random, story: Story, end: float) -> None:
    """Have invoices: some whose time is over before the deletion, some for which it comes after it, or much later."""
    early, about = rng.uniform(0, end + 80), end + 91 + rng.uniform(-1, 2)
    days = (early, about, rng.uniform(end + 93, 270), rng.uniform(150, 270), 3000.0)
    story.books = tuple(moment(rng.choice(days)).date() for _ in range(rng.randint(1, 3)))


PLOTS: tuple[Callable[[Random, Story, float], None], ...] = (
    leaves, leaves_renewing, late, stays, held, held_for_good, breach, withdrawn, comes_back,
    breach_to_come, until_further_notice, late_for_a_month, switches, completes, moved, told_twice,
    two_contracts, says_it_wrong, may_not_say_it, says_it_again, keeps_books, leaves_twice, leaves_at_once,
)  # fmt: skip


def draw(rng: Random, number: int) -> Story:
    """Draw one customer's story."""
    plot = rng.choice(PLOTS)
    end = rng.uniform(35, 110)
    story = Story(f"{plot.__name__.replace('_', '-')}-{number}", plot.__name__, "closed", works_until=end - 1)
    plot(rng, story, end)
    if not story.books and rng.random() < 0.3:
        _issue(rng, story, end)
    # Whoever comes back, or is held, in time for the whole window might be too late for a shorter one.
    story.hurries = plot not in (comes_back, held_for_good) and rng.random() < 0.5
    if story.fate == "untouched":
        story.works_until = 300
    _ask(rng, story, end)
    _agree(rng, story, end)
    return story


def _agree(rng: Random, story: Story, end: float) -> None:
    """Agree on help with moving, or not; and think better of it."""
    who = story.customer_id
    for number in range(rng.choice([0, 1, 1, 2])):
        day, name = rng.uniform(0, end + 60), f"{who}-ta{number}"
        story.at(day, TransferAgreed(customer_id=who, agreement_id=name, agreed_at=moment(day)))
        if rng.random() < 0.3:
            back = day + rng.uniform(-0.1, 40)
            told = TransferWithdrawn(
                customer_id=who, agreement_id=name, withdrawn_by="staff:1", withdrawn_at=moment(back)
            )
            story.at(back, told)


def _ask(rng: Random, story: Story, end: float) -> None:
    """Ask for exports at any time; now and then many times at once, when the window is over."""
    days = [
        rng.choice([rng.uniform(0, end), rng.uniform(end, end + 95), end + 90 + rng.uniform(0, 3)])
        for _ in range(rng.randint(0, 3))
    ]
    if rng.random() < 0.3:
        begin = end + rng.uniform(80, 110)
        days += [begin + rng.random() * 0.003 for _ in range(8)]
    for request, day in enumerate(days):
        asked = ExportRequested(
            customer_id=story.customer_id, request_id=f"{story.customer_id}-r{request}", requested_at=moment(day),
            volume_size=rng.choice([None, 1 << 16]),
        )  # fmt: skip
        story.at(day, asked)
