"""Kills workers at random moments and starts others in their place, while somebody talks to the service."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random
from time import monotonic

from aiokafka.protocol.group import LeaveGroupRequest

from shared.events.envelope import write
from tests.chaos.history import History
from tests.scenarios.scene import Scene
from tests.scenarios.waits import until
from tests.scenarios.workers import Worker

SERVICE = "notice"


async def tell(scene: Scene, history: History, seconds: float) -> None:
    """Say all of *history*, spread over *seconds*."""
    began = monotonic()
    for place, fact in enumerate(history.sayings):
        value, headers = write(fact)
        name = scene.ground.prefix + fact.event.type()
        await scene.producer.send(name, value, fact.event.customer_id.encode(), headers=list(headers))
        # An even flow and no bursts, so that whoever is killed is in the middle of something.
        ahead = place * seconds / len(history.sayings) - (monotonic() - began)
        if ahead > 0:
            await asyncio.sleep(ahead)
    await scene.producer.flush()


@dataclass
class Storm:
    """Two workers, of which one after the other is killed at moments that *chance* draws."""

    scene: Scene
    chance: Random
    workers: list[Worker] = field(default_factory=list)
    kills: int = 0

    async def begin(self) -> None:
        """Have both workers share the work."""
        self.workers = [await self.scene.start(SERVICE) for _ in range(2)]
        await asyncio.gather(*(worker.ready() for worker in self.workers))

    async def rage(self) -> None:
        """Kill one every 0.5 to 2 seconds, or as soon as one works again, until cancelled."""
        while True:
            await asyncio.sleep(self.chance.uniform(0.5, 2))
            await self.strike()

    async def strike(self) -> None:
        """Kill a worker of chance, of those that work, at whatever line it is, and start another."""
        working = await until("somebody works", self._working, seconds=20)
        place = self.chance.choice(working)
        await self.workers[place].kill()
        self.kills += 1
        await self._expel()
        self.workers[place] = await self.scene.start(SERVICE)

    async def _working(self) -> list[int]:
        # To kill one that only starts would be no fault of the kind that is looked for.
        return [place for place, worker in enumerate(self.workers) if '"event":"working"' in worker.log()]

    async def _expel(self) -> None:
        """Have Kafka notice the death at once; else nothing would be read for the ten seconds of a session's timeout.

        Who lives is put out as well and comes back, as after a long pause: one more fault, and a permitted one.
        """
        admin, group = self.scene.admin, self.scene.group(SERVICE)
        coordinator = await admin.find_coordinator(group)
        (answer,) = await admin.describe_consumer_groups([group], coordinator)
        for described in answer.groups:
            for member in described[5]:
                await admin._send_request(LeaveGroupRequest(group, member[0]), coordinator)
