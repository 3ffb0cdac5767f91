"""One notice service as a process, and what customers, support and operators do to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.demo.ground import BEGINNING
from deploy.demo.watch import Watch
from shared.advance import MOST_WAITING
from shared.deadletters import Letter
from shared.events.envelope import read
from shared.events.notice import NoticeAccepted, NoticeRejected
from shared.settings import Settings
from tests.scenarios.phrases import contract, notice
from tests.scenarios.scene import Scene, scene
from tests.scenarios.waits import until
from tests.scenarios.workers import Worker

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Stage:
    """The scene, its one worker, and ears for its answers."""

    scene: Scene
    worker: Worker
    watch: Watch


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Start the service once for all tests of this module; each has customers of its own."""
    async with (
        scene(settings, tmp_path_factory.mktemp("scene"), "notice") as made,
        made.hearing(NoticeAccepted, NoticeRejected) as watch,
    ):
        yield Stage(made, await made.ready("notice"), watch)


async def test_poison_delays_nobody(stage: Stage) -> None:
    """What can't be read goes to dead letters with its reason; what is behind it, and everybody else's, is answered."""
    bad = json.loads(notice("poisoned").model_dump_json()) | {"received_at": "yesterday"}
    await stage.scene.publish(contract("poisoned"), contract("neighbour"))
    await stage.scene.say("NoticeReceived", "poisoned", b"{not json")
    await stage.scene.say("NoticeReceived", "poisoned", json.dumps(bad).encode())
    await stage.scene.publish(notice("poisoned", 2), notice("neighbour"))

    await stage.watch.expect(NoticeAccepted, "poisoned")
    await stage.watch.expect(NoticeAccepted, "neighbour")
    found = await _letters(stage, "poisoned", 2)
    assert [one.value for one in found] == [b"{not json", json.dumps(bad).encode()]
    assert found[0].reason.startswith("value: ")
    assert "received_at" in found[1].reason
    assert "yesterday" not in found[1].reason
    assert [one.notice_id for one in stage.watch.all(NoticeAccepted, "poisoned")] == ["mail-2"]


async def test_loopback_only(stage: Stage) -> None:
    """A service's pages are listened for on loopback, and nowhere else, unless somebody says otherwise."""
    port = f":{stage.worker.port:04X}"
    lines = [line.split() for file in ("tcp", "tcp6") for line in Path(f"/proc/net/{file}").read_text().splitlines()]
    listening = [line[1] for line in lines if line[3] == "0A" and line[1].endswith(port)]

    # Least significant byte first, as Linux writes it.
    assert listening == [f"0100007F{port}"]


async def test_mended_by_command(stage: Stage) -> None:
    """A notice too many for a customer without a contract is buried; put back when that is there, it counts once."""
    await _bury_one_too_many(stage, "crowded")
    await stage.scene.publish(contract("crowded"))
    await stage.watch.expect(NoticeRejected, "crowded", MOST_WAITING - 1)
    where = ("--topic", "NoticeReceived", "--service", "notice")
    assert (await stage.scene.command("dead-letters", "replay", *where))[0] == 0

    await stage.watch.expect(NoticeRejected, "crowded", MOST_WAITING)
    (one,) = await _letters(stage, "crowded", 1)
    place = ("--partition", str(one.partition), "--offset", str(one.offset))
    assert (await stage.scene.command("dead-letters", "replay", *where, *place))[0] == 0
    await _caught_up(stage)
    assert await _answers(stage, "crowded") == MOST_WAITING + 1


async def test_mended_by_instruction(stage: Stage) -> None:
    """The same by an instruction written by hand into its topic: this one letter is put back, and counts once."""
    await _bury_one_too_many(stage, "instructed")
    await stage.scene.publish(contract("instructed"))
    await stage.watch.expect(NoticeRejected, "instructed", MOST_WAITING - 1)
    (one,) = await _letters(stage, "instructed", 1)
    end = await _end(stage)
    for _ in range(2):
        place = {"topic": "NoticeReceived", "partition": one.partition, "offset": one.offset}
        await stage.scene.instruct("DeadLettersReplayed", **place)

    answer = await stage.watch.expect(NoticeRejected, "instructed", MOST_WAITING)
    assert (answer.notice_id, answer.reason) == (f"mail-{MOST_WAITING + 1}", "already_given")
    await until("both were put back", lambda: _end(stage), lambda now: now == end + 2)
    await _caught_up(stage)
    assert await _answers(stage, "instructed") == MOST_WAITING + 1


async def test_by_hand(stage: Stage) -> None:
    """What Kafka's own console producer writes, a key and plain JSON, is as good as a CloudEvent."""
    await stage.scene.publish(contract("by-hand"))
    code, output = await stage.scene.command(
        "stack", "kafka", "console-producer",
        "--topic", f"{stage.scene.ground.prefix}NoticeReceived",
        "--reader-property", "parse.key=true", "--reader-property", "key.separator=|",
        given=f"by-hand|{notice('by-hand').model_dump_json()}\n".encode(),
    )  # fmt: skip
    assert code == 0, output

    assert (await stage.watch.expect(NoticeAccepted, "by-hand")).notice_id == "mail-1"


async def test_paused_and_resumed(stage: Stage) -> None:
    """Paused by an instruction the service reads nothing, says so and shows its lag; resumed it answers everything."""
    await stage.scene.publish(contract("patient"))
    await _caught_up(stage)
    await stage.scene.instruct("ServicePaused", because="drill")
    await until("paused", lambda: stage.worker.page("ready"), lambda page: page[1]["paused"])
    await stage.scene.publish(notice("patient"))

    await until("lag", lambda: stage.worker.metric("offramp_consumer_lag_events", topic="NoticeReceived"))
    assert await stage.worker.metric("offramp_paused") == 1
    assert (await stage.worker.page("health"))[0] == 200
    assert not stage.watch.all(NoticeAccepted, "patient")
    await stage.scene.instruct("ServiceResumed")
    await stage.watch.expect(NoticeAccepted, "patient")


async def test_too_early(stage: Stage) -> None:
    """A notice of an unknown contract waits where everybody can see it, and is answered when its time is up."""
    before = await stage.worker.metric("offramp_waiting_events")
    await stage.scene.publish(notice("early"))
    await until("waiting", lambda: stage.worker.metric("offramp_waiting_events"), lambda now: now == before + 1)
    code, output = await stage.scene.command("case", "show", "early", "--service", "notice")

    assert code == 0, output
    assert "waits: NoticeReceived" in output
    assert "the contract is not known yet" in output
    assert not stage.watch.all(NoticeRejected, "early")
    stage.scene.ground.move_to(BEGINNING + timedelta(days=1, hours=1))
    assert (await stage.watch.expect(NoticeRejected, "early")).reason == "unknown_contract"
    await until("nothing waits", lambda: stage.worker.metric("offramp_waiting_events"), lambda now: now == 0)


async def _bury_one_too_many(stage: Stage, customer: str) -> None:
    await asyncio.gather(*(stage.scene.publish(notice(customer, number)) for number in range(1, MOST_WAITING + 1)))
    await _caught_up(stage)
    await stage.scene.publish(notice(customer, MOST_WAITING + 1))
    (one,) = await _letters(stage, customer, 1)
    assert one.reason == f"{MOST_WAITING} events of this customer wait already"


async def _letters(stage: Stage, customer: str, count: int) -> list[Letter]:
    """Wait for *count* dead letters of *customer*."""

    async def found() -> list[Letter]:
        return [one for one in await stage.scene.letters("NoticeReceived") if one.key == customer.encode()]

    return await until(f"{count} dead letters of {customer}", found, lambda letters: len(letters) >= count)


async def _answers(stage: Stage, customer: str) -> int:
    """Count the different answers that *customer* got; the same one may stand in its topic twice."""
    records = await stage.scene.records("NoticeAccepted", "NoticeRejected")
    return len({read(one).id for one in records if one.key == customer.encode()})


async def _end(stage: Stage) -> int:
    return sum((await stage.scene.ends("NoticeReceived")).values())


async def _caught_up(stage: Stage) -> None:
    """Wait until the service has committed all there is, and owes nothing."""
    topics = ("ContractRegistered", "NoticeReceived")
    ends = await stage.scene.ends(*topics)

    async def behind() -> list[tuple[str, int]]:
        committed = await stage.scene.committed("notice")
        return [where for where, end in ends.items() if committed.get(where, 0) < end]

    await until("everything is read", behind, lambda places: not places)
    await until("nothing is owed", lambda: stage.scene.ask("notice", "select count(*) from outbox"), lambda n: n == 0)
