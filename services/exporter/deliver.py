"""How an archive is delivered (P9): looked at again before each part, sent, read back; and what stops it, by name."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import structlog

from shared.errors import OperatorError
from shared.filling import NoRoomError
from shared.objects import ObjectStore
from shared.performer import Attempt, Performance
from shared.sending import (
    Cargo,
    FarEndAwayError,
    FarEndRefusalError,
    FarPlace,
    Left,
    SourceDiffersError,
)
from shared.settings import Settings
from shared.store_faults import ObjectChangedError, ObjectMissingError, StoreRefusalError

from .announced import any_of
from .case import case_of
from .convoy import Convoy
from .delivering import objection
from .destinations import (
    DestinationsError,
    NotThisCustomersError,
    UnknownDestinationError,
    destination_of,
)
from .ours import OursError, insist_that_it_is_not_ours
from .policy import ExporterPolicy
from .states import Copy, State
from .tasks import Delivered, DeliverExport, NotDelivered, VolumeCopy

_log = structlog.get_logger()
# With the performer's pauses between them more than an hour; then somebody has to look at it.
TRIES = 20
# Above this it takes a place that small work never waits behind.
_HEAVY_BYTES = 256 << 20
# How long the case is believed before it is read again, in seconds.
_BELIEVED = 1.0
_UNUSABLE: dict[type[OperatorError], str] = {
    DestinationsError: "destination_unusable",
    UnknownDestinationError: "unknown_destination",
    NotThisCustomersError: "not_this_customers",
}


class NoLongerError(OperatorError):
    """There is no longer the right to send it; *reason* is why."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"nothing more is sent: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Delivering:
    """What a delivery works with; *listed* is the operators' file of destinations, read anew each time."""

    settings: Settings
    policy: ExporterPolicy
    listed: Path

    def performances(self) -> tuple[Performance, ...]:
        """Tell how the task is performed."""
        return (Performance(DeliverExport, self.deliver, self.weigh),)

    async def weigh(self, task: DeliverExport) -> bool:
        """Tell whether it takes long; where that can't be told, the delivery says why."""
        try:
            async with ObjectStore(self.settings.s3) as ours:
                found = [await ours.head(*_bucket_and_key(one.place)) for one in _volumes(task)]
                return sum(one.size for one in found) > _HEAVY_BYTES
        except StoreRefusalError:
            return False

    async def deliver(self, task: DeliverExport, attempt: Attempt) -> Delivered | NotDelivered:
        """Send one archive and read it back there; cut off anywhere, the next try sends only what isn't there.

        Raises StoreOutageError, NoRoomError and the like for our own outages, which wait. The far end's wait too, so
        many times.
        """
        named = {"customer_id": task.customer_id, "export_id": task.export_id, "attempt": task.attempt}
        right = _Right(self, task, attempt)
        try:
            destination = await asyncio.to_thread(destination_of, self.listed, task.destination, task.customer_id)
        except (DestinationsError, UnknownDestinationError, NotThisCustomersError) as error:
            return self._failed(task, named, await right.missing() or _UNUSABLE[type(error)], "nothing", error)
        async with ObjectStore(self.settings.s3) as ours, ObjectStore(destination.address) as theirs:
            far = tuple(
                FarPlace(theirs, destination.bucket, destination.key_of(export_id, one.place))
                for export_id, one in _named(task)
            )
            convoy, again = Convoy(far, right.insist), attempt.number > 1
            reason = await right.missing()
            if reason is not None:
                return self._failed(task, named, reason, await convoy.give_up(tried_before=again))
            same_there = FarPlace(theirs, *_bucket_and_key(task.place))
            try:
                await insist_that_it_is_not_ours(self.settings, destination, same_there)
            except OursError as error:
                left = await convoy.give_up(tried_before=again) if again else "nothing"
                return self._failed(task, named, "destination_is_ours", left, error)
            except FarEndAwayError as error:
                if attempt.number < TRIES:
                    raise
                left = await convoy.give_up(tried_before=again)
                return self._failed(task, named, "unreachable", left, error)
            return await self._send(task, attempt, named, ours, convoy, right)

    async def _send(
        self, task: DeliverExport, attempt: Attempt, named: dict[str, object], ours: ObjectStore, convoy: Convoy,
        right: _Right,
    ) -> Delivered | NotDelivered:  # fmt: skip
        again = attempt.number > 1
        try:
            cargos = await _cargos(ours, task, await right.versions())
            how = await convoy.send(cargos, attempt.report)
        except FarEndAwayError as error:
            if attempt.number < TRIES:
                raise
            return self._failed(task, named, "unreachable", await convoy.give_up(tried_before=again), error)
        except NoRoomError:
            # Whoever makes room need not ask for it again.
            raise
        except (ObjectChangedError, ObjectMissingError) as error:
            # Its links are being taken back, which gives it another version; the next try reads that one.
            if isinstance(error, ObjectChangedError) or await right.replaced():
                raise
            return self._failed(task, named, "missing", await convoy.give_up(tried_before=again), error)
        except (FarEndRefusalError, NoLongerError, SourceDiffersError, StoreRefusalError) as error:
            # The one that failed is dropped; of others an earlier try may have left parts.
            others = again and len(_volumes(task)) > 1
            left = await convoy.give_up(tried_before=True) if others else convoy.left_behind
            return self._failed(task, named, _reason(error), left, error)
        if convoy.taken.parts:
            parts, size = convoy.taken.parts, convoy.taken.size
            _log.info("parts were taken over", export=task.export_id, parts=parts, bytes=size)
        size = sum(one.size for one in cargos)
        sent = {"size_bytes": size, "sha256": task.sha256, "sent": how, "volumes": len(cargos)}
        return Delivered(**named, **sent, delivered_at=attempt.clock())

    def _failed(
        self, task: DeliverExport, named: dict[str, object], reason: str, left: Left,
        error: OperatorError | None = None,
    ) -> NotDelivered:  # fmt: skip
        _log.error(
            "not delivered",
            customer=task.customer_id,
            export=task.export_id,
            destination=task.destination,
            reason=reason,
            left_behind=left,
            says=None if error is None else str(error),
        )
        return NotDelivered(**named, reason=reason, left_behind=left)


class _Right:
    """The right to send, looked at by the clock each time, and in the case once a second."""

    def __init__(self, delivering: Delivering, task: DeliverExport, attempt: Attempt) -> None:
        self._delivering, self._task, self._attempt = delivering, task, attempt
        self._state: State | None = None
        self._read_at = float("-inf")
        self._versions: tuple[str | None, ...] = ()

    async def insist(self) -> None:
        """Raise NoLongerError if nothing more may be sent."""
        reason = await self.missing()
        if reason is not None:
            raise NoLongerError(reason)

    async def versions(self) -> tuple[str | None, ...]:
        """Tell in which version each volume lies; None where that isn't known, so that the newest has to do."""
        self._versions = self._versions_of(self._copies(await self._look()))
        return self._versions

    def _versions_of(self, copies: tuple[Copy, ...]) -> tuple[str | None, ...]:
        there = {one.place: one.version or None for copy in copies for one in copy.volumes}
        return tuple(there.get(one.place) for one in _volumes(self._task))

    async def replaced(self) -> bool:
        """Tell whether those versions are gone because others are, or are about to be, in their place."""
        self._read_at = float("-inf")
        state = await self._look()
        copies = self._copies(state)
        if state is None or not copies:
            return False
        sent = {export_id for export_id, _ in _named(self._task)}
        under_way = any(one.export_id in sent for one in state.known.revoking)
        return under_way or self._versions_of(copies) != self._versions

    def _copies(self, state: State | None) -> tuple[Copy, ...]:
        sent = {} if state is None else {name: any_of(state.known, name) for name, _ in _named(self._task)}
        return tuple(copy for copy in sent.values() if copy is not None)

    async def _look(self) -> State | None:
        moment = asyncio.get_running_loop().time()
        if moment - self._read_at >= _BELIEVED:
            dsn = self._delivering.settings.dsn("exporter")
            self._state = await case_of(dsn, self._task.customer_id)
            self._read_at = moment
        return self._state

    async def missing(self) -> str | None:
        """Tell why it may not be sent; None if it may."""
        state = await self._look()
        if state is None or all(one.attempt != self._task.attempt for one in state.known.delivering):
            return "not_asked"
        return objection(state, self._attempt.clock(), self._delivering.policy)


def _named(task: DeliverExport) -> tuple[tuple[str, VolumeCopy], ...]:
    """Give all files that go, each with its export: the archive that a delta needs first, the last volume last."""
    first = () if task.base is None else tuple((task.base.export_id, one) for one in task.base.volumes)
    own = (*task.before, VolumeCopy(place=task.place, sha256=task.sha256))
    return (*first, *((task.export_id, one) for one in own))


def _volumes(task: DeliverExport) -> tuple[VolumeCopy, ...]:
    return tuple(one for _, one in _named(task))


async def _cargos(ours: ObjectStore, task: DeliverExport, versions: tuple[str | None, ...]) -> tuple[Cargo, ...]:
    found = zip(_volumes(task), versions, strict=True)
    return tuple([await _cargo(ours, one, version) for one, version in found])


async def _cargo(ours: ObjectStore, volume: VolumeCopy, version: str | None) -> Cargo:
    bucket, key = _bucket_and_key(volume.place)
    found = await ours.head(bucket, key, version)
    return Cargo(found.size, volume.sha256, lambda: ours.stream(bucket, key, etag=found.etag, version=version))


def _reason(error: OperatorError) -> str:
    if isinstance(error, FarEndRefusalError):
        return error.why
    if isinstance(error, NoLongerError):
        return error.reason
    if isinstance(error, SourceDiffersError):
        return "not_the_same"
    return "source_refused"


def _bucket_and_key(place: str) -> tuple[str, str]:
    bucket, _, key = place.removeprefix("s3://").partition("/")
    return bucket, key
