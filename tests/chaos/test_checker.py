"""The checker finds each kind of anomaly in histories made up for it, and nothing in a good one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from msgspec.structs import replace

from services.notice.domain import domain
from services.notice.policy import load_notice_policy
from shared.decision import Fact
from shared.declared import policy_file, rules_folder
from shared.events.notice import ContractTerminated, NoticeAccepted, NoticeRejected
from tests.chaos.checker import judge
from tests.chaos.history import READ_AT, History, draw
from tests.chaos.model import Course, Model

MODEL = Model(domain(load_notice_policy(policy_file(), rules_folder())))


def good(seed: int) -> tuple[History, list[Fact]]:
    """Give a history and what a service publishes that reads each customer's topics in some order."""
    history = draw(seed, 200)
    courses = [MODEL.courses(lanes)[-1] for lanes in history.by_customer().values()]
    return history, [fact for course in courses for fact in facts(course)]


def facts(course: Course) -> list[Fact]:
    return [Fact(one, "/offramp/notice", READ_AT, event) for said in course.values() for one, event in said]


def kinds(seed: int, spoil: Callable[[list[Fact]], list[Fact]]) -> set[str]:
    history, published = good(seed)
    return {anomaly.kind for anomaly in judge(history, spoil(published), MODEL)}


def first(published: list[Fact], kind: type) -> int:
    return next(place for place, fact in enumerate(published) if isinstance(fact.event, kind))


def lose(published: list[Fact]) -> list[Fact]:
    return published[: first(published, NoticeAccepted)] + published[first(published, NoticeAccepted) + 1 :]


def lose_an_end(published: list[Fact]) -> list[Fact]:
    return published[: first(published, ContractTerminated)] + published[first(published, ContractTerminated) + 1 :]


def again_under_another_id(published: list[Fact]) -> list[Fact]:
    return [*published, replace(published[first(published, NoticeAccepted)], id="another")]


def answer_twice(published: list[Fact]) -> list[Fact]:
    accepted = published[first(published, NoticeAccepted)].event
    assert isinstance(accepted, NoticeAccepted)
    other = NoticeRejected(
        customer_id=accepted.customer_id,
        contract_id=accepted.contract_id,
        notice_id=accepted.notice_id,
        reason="late",
    )
    return [replace(published[0], id="another", event=other), *published]


def end_twice(published: list[Fact]) -> list[Fact]:
    return [*published, replace(published[first(published, ContractTerminated)], id="another")]


def overtake(published: list[Fact]) -> list[Fact]:
    """Swap two answers to one customer in one topic."""
    places: dict[tuple[str, type], list[int]] = {}
    for place, fact in enumerate(published):
        if isinstance(fact.event, NoticeRejected):
            places.setdefault((fact.event.customer_id, type(fact.event)), []).append(place)
    one, other = next(found for found in places.values() if len(found) > 1)[:2]
    swapped = list(published)
    swapped[one], swapped[other] = swapped[other], swapped[one]
    return swapped


def answer_nobody(published: list[Fact]) -> list[Fact]:
    given = published[first(published, NoticeAccepted)].event
    return [*published, replace(published[0], id="another", event=given.model_copy(update={"notice_id": "n99"}))]


def answer_a_stranger(published: list[Fact]) -> list[Fact]:
    given = published[first(published, NoticeAccepted)].event
    return [*published, replace(published[0], id="another", event=given.model_copy(update={"customer_id": "stranger"}))]


def answer_wrongly(published: list[Fact]) -> list[Fact]:
    place = first(published, NoticeAccepted)
    given = published[place].event
    assert isinstance(given, NoticeAccepted)
    later = given.model_copy(update={"terminates_at": given.terminates_at + timedelta(days=1)})
    return [*published[:place], replace(published[place], event=later), *published[place + 1 :]]


def under_an_id_of_chance(published: list[Fact]) -> list[Fact]:
    return [replace(published[0], id="by chance"), *published[1:]]


@pytest.mark.parametrize("seed", range(5))
def test_good(seed: int) -> None:
    """A service that answers all in some order of reading is found good, also when each record is there twice."""
    assert kinds(seed, lambda published: published) == set()
    assert kinds(seed, lambda published: [*published, *published]) == set()


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (lose, "lost"),
        (again_under_another_id, "doubled"),
        (answer_twice, "doubled"),
        (end_twice, "doubled"),
        (overtake, "out of order"),
        (answer_nobody, "without cause"),
        (answer_a_stranger, "without cause"),
        (answer_wrongly, "wrong outcome"),
        (lose_an_end, "wrong outcome"),
        (under_an_id_of_chance, "wrong outcome"),
    ],
)
def test_each_anomaly(spoil: Callable[[list[Fact]], list[Fact]], kind: str) -> None:
    """Each kind of anomaly, put into a good history, is found, and nothing else is."""
    assert kinds(7, spoil) == {kind}


def test_history() -> None:
    """A history says all twice, keeps a customer's topic in order, and often gives a notice before its contract."""
    history = draw(3, 2000)
    places = {fact.id: place for place, fact in enumerate(history.sent)}
    assert len(places) == 2000
    assert sorted(one.id for one in history.sayings) == sorted([*places, *places])
    assert [one.id for one in dict.fromkeys(history.sayings)] == list(places)

    early = 0
    for lanes in history.by_customer().values():
        for lane in lanes.values():
            assert [fact.id for fact in lane] == sorted(fact.id for fact in lane)
        contracts, notices = lanes.get("ContractRegistered"), lanes.get("NoticeReceived")
        early += bool(contracts and notices and places[notices[0].id] < places[contracts[0].id])
    assert early > 100
