"""What customers do with an archive: confirm it, have links to it, take them back, have it sent to somebody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from services.exporter.link import LONGEST, Grant, NoLinkError, grant
from services.exporter.policy import ExporterPolicy
from services.exporter.states import State
from shared.decision import Fact
from shared.events.event import Event
from shared.events.exporter import DeltaReady, ExportReady
from shared.events.platform import (
    DeliveryRequested,
    EarlyDeletionRequested,
    ExportConfirmed,
    ExportRequested,
    LinkRevocationRequested,
)
from shared.identity import derived

if TYPE_CHECKING:
    from .world import World

Ready: TypeAlias = ExportReady | DeltaReady
_DAY = 86400.0
# Afterwards there is no time left for an answer.
_UNTIL = 280.0


async def moves(world: World, ready: Ready, policy: ExporterPolicy) -> None:
    """Do some of it, at any time, and say some of it more than once."""
    for number in range(world.rng.randint(0, 4)):
        await asyncio.sleep(world.rng.choice([0.0, 60.0, 3600.0, 5 * _DAY, 60 * _DAY]) * world.rng.random())
        if world.loop.time() > _UNTIL * _DAY:
            return
        given = _granted(world, ready, policy)
        if given is not None:
            _link_or_work_on(world, ready, given)
        await _say(world, _drawn(world, ready, number))


def _drawn(world: World, ready: Ready, number: int) -> Event:
    ways: tuple[Callable[[World, Ready, int], Event], ...] = (_confirm, _revoke, _deliver, _since)
    if isinstance(ready, ExportReady) and world.stories[ready.customer_id].hurries:
        ways = (_confirm, _hasten, _hasten, _revoke, _deliver) if number else (_confirm, _confirm, _hasten)
    return world.rng.choice(ways)(world, ready, number)


def _hasten(world: World, ready: Ready, number: int) -> EarlyDeletionRequested:
    return EarlyDeletionRequested(
        customer_id=ready.customer_id, request_id=f"early-{ready.export_id}-{number}", export_id=ready.export_id,
        requested_by="contact:1", requested_at=world.now(),
    )  # fmt: skip


def _confirm(world: World, ready: Ready, number: int) -> ExportConfirmed:
    right = world.rng.random() < 0.9
    return ExportConfirmed(
        customer_id=ready.customer_id, export_id=ready.export_id, sha256=ready.sha256 if right else "9" * 64,
        confirmed_by=f"contact:{number}", confirmed_at=world.now(),
    )  # fmt: skip


def _revoke(world: World, ready: Ready, number: int) -> LinkRevocationRequested:
    return LinkRevocationRequested(
        customer_id=ready.customer_id, request_id=f"revoke-{ready.export_id}-{number}", export_id=ready.export_id,
        requested_by="staff:1", requested_at=world.now(),
    )  # fmt: skip


def _deliver(world: World, ready: Ready, number: int) -> DeliveryRequested:
    return DeliveryRequested(
        customer_id=ready.customer_id, request_id=f"deliver-{ready.export_id}-{number}", export_id=ready.export_id,
        destination=world.rng.choice(["new-provider", "own-store"]), requested_by="staff:1", requested_at=world.now(),
    )  # fmt: skip


def _since(world: World, ready: Ready, number: int) -> ExportRequested:
    """Ask for what changed since; now and then since something that isn't there, and what is no archive anyway."""
    return ExportRequested(
        customer_id=ready.customer_id, request_id=f"since-{ready.export_id}-{number}", requested_at=world.now(),
        since=world.rng.choice([ready.export_id] * 5 + ["nothing"]), volume_size=world.rng.choice([None, 1 << 16]),
    )  # fmt: skip


def _granted(world: World, ready: Ready, policy: ExporterPolicy) -> Grant | None:
    """Ask for a link to the archive, as the case stands."""
    state: State | None = world.states("exporter").get(ready.customer_id)
    try:
        return None if state is None else grant(state, ready.export_id, world.now(), policy)
    except NoLinkError:
        return None


def _link_or_work_on(world: World, ready: Ready, given: Grant) -> None:
    """Be support, and give a link; or be a teacher who corrects a grade while there is more than enough time."""
    if world.rng.random() < 0.5 and given.expires_at - world.now() >= LONGEST:
        world.work_on(ready.customer_id)
    # A link to what is no longer there is not given: the store is asked first.
    elif all(one.version in world.platform.shelf.of(one.place) for copy in given.copies for one in copy.volumes):
        for one in (one for copy in given.copies for one in copy.volumes):
            world.checker.linked(one.place, one.version)


async def _say(world: World, event: Event) -> None:
    name = str(derived("moving", event.customer_id, event.model_dump_json()))
    fact = Fact(name, "/platform", world.now(), event)
    stamp = int(world.now().timestamp() * 1000)
    for _ in range(world.rng.choice([1, 1, 2])):
        world.publish(fact, stamp)
        await asyncio.sleep(world.rng.choice([0.0, 1.0, 3600.0, _DAY]) * world.rng.random())
