"""Waits until the notice service has nothing left to do, and has all that it published judged."""

from __future__ import annotations

from services.notice.domain import domain
from services.notice.policy import load_notice_policy
from shared.declared import policy_file, rules_folder
from shared.events.envelope import read
from tests.chaos.checker import judge
from tests.chaos.history import ENDS_AT, INPUTS, History
from tests.chaos.model import Model
from tests.chaos.storm import SERVICE
from tests.scenarios.scene import Scene
from tests.scenarios.waits import until

TOPICS = tuple(kind.type() for kind in INPUTS)
OUTPUTS = ("NoticeAccepted", "NoticeRejected", "ContractTerminated", "DeadlineApproaching")


async def all_read(scene: Scene) -> None:
    """Wait until everything is read, and whatever follows from it published."""
    ends = await scene.ends(*TOPICS)

    async def behind() -> dict[tuple[str, int], int]:
        committed = await scene.committed(SERVICE)
        return {where: end - committed.get(where, 0) for where, end in ends.items() if committed.get(where, 0) < end}

    await until("everything is read", behind, lambda places: not places)
    await until("nothing is owed", lambda: scene.ask(SERVICE, OWED), lambda owed: owed == 0)


async def carried_out(scene: Scene) -> None:
    """Wait until nothing is due any more at the end of the history, and whatever follows from it is published."""
    await until("nothing is due", lambda: scene.ask(SERVICE, DUE, ENDS_AT), lambda due: due == 0)
    await all_read(scene)


async def found_good(scene: Scene, history: History) -> None:
    """Fail if the checker finds an anomaly, or if anything was buried."""
    model = Model(domain(load_notice_policy(policy_file(), rules_folder())))
    published = [read(record) for record in await scene.records(*OUTPUTS)]
    found = judge(history, published, model)

    assert not found, "\n".join(f"{one.kind}: {one.customer}: {one.what}" for one in found[:20])
    assert not [one for topic in TOPICS for one in await scene.letters(topic)]


OWED = "select count(*) from outbox"
DUE = "select count(*) from cases where wakes_at <= $1"
