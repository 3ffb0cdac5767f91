"""``offramp export deliver``: a ready archive to where the customer, or its new provider, wants it (P9)."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated
from uuid import uuid4

import typer
import uvloop
from rich.filesize import decimal

from shared.clocksetting import choose_clock
from shared.declared import destinations_file, policy_file
from shared.errors import OperatorError
from shared.events.platform import DeliveryRequested
from shared.objects import ObjectStore
from shared.operations.reference import reference
from shared.operations.saying import say
from shared.policy import load_policy
from shared.sending import FarEndAwayError, FarEndRefusalError, FarPlace, look
from shared.settings import Settings, read_settings

from .announced import needed_by
from .delivering import objection, ready
from .destinations import Destination, check_destination, destination_of
from .link_command import state_of
from .ours import insist_that_it_is_not_ours
from .policy import ExporterPolicy
from .states import Copy, State, Volume


class NotDeliverableError(OperatorError):
    """It would be refused, and why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be sent where: *size* of all in bytes; *there* is what lies at each key now, None if nothing.

    Of a delta, its *base* goes before it.
    """

    archive: Copy
    base: Copy | None
    size: int
    destination: Destination
    there: tuple[int | None, ...]

    @property
    def volumes(self) -> tuple[tuple[str, Volume], ...]:
        """Give each volume that goes, and of which export it is."""
        copies = (self.archive,) if self.base is None else (self.base, self.archive)
        return tuple((copy.export_id, one) for copy in copies for one in copy.volumes)

    @property
    def keys(self) -> tuple[str, ...]:
        """Give the key of each volume there."""
        return tuple(self.destination.key_of(export_id, one.place) for export_id, one in self.volumes)

    def as_dict(self) -> dict[str, object]:
        """Show it, with none of the keys."""
        return {
            "export_id": self.archive.export_id,
            **({} if self.base is None else {"base": self.base.export_id}),
            "sha256": self.archive.sha256,
            "size_bytes": self.size,
            "destination": self.destination.name,
            "endpoint": self.destination.address.endpoint,
            "bucket": self.destination.bucket,
            "keys": self.keys,
            "there_bytes": self.there,
        }


def deliver(
    customer: Annotated[str, typer.Argument(help="Whose archive.")],
    export_id: Annotated[str, typer.Argument(help="Which one.")],
    to: Annotated[str, typer.Option("--to", help="The name of a destination, of those in OFFRAMP_DESTINATIONS.")],
    *,
    by: Annotated[str, typer.Option(callback=reference, help="Who asks for it, as an opaque reference.")] = "support",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look at both ends, and send nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what is asked for as JSON.")] = False,
) -> None:
    """Have a ready archive sent to a destination, and read back there; ExportDelivered or DeliveryFailed answers."""
    if dry_run:
        plan = uvloop.run(_planned(customer, export_id, to))
        typer.echo(json.dumps(plan.as_dict(), indent=2) if as_json else _shown(plan))
        return
    asked_for = uvloop.run(_ask(customer, export_id, to, by))
    typer.echo(asked_for.model_dump_json(indent=2) if as_json else ASKED.format(**asked_for.model_dump()))


async def _planned(customer: str, export_id: str, to: str) -> Plan:
    settings = read_settings()
    archive, base = await _archive(settings, customer, export_id)
    destination = destination_of(destinations_file(), to, customer)
    plan = Plan(archive, base, 0, destination, ())
    async with ObjectStore(settings.s3) as ours, ObjectStore(destination.address) as theirs:
        places = [one.place.removeprefix("s3://").partition("/")[::2] for _, one in plan.volumes]
        size = sum([(await ours.head(*place)).size for place in places])
        try:
            same_there = FarPlace(theirs, *archive.place.removeprefix("s3://").partition("/")[::2])
            await insist_that_it_is_not_ours(settings, destination, same_there)
            there = [await look(FarPlace(theirs, destination.bucket, key)) for key in plan.keys]
        except (FarEndAwayError, FarEndRefusalError) as error:
            raise NotDeliverableError(f"{error}. See destinations.{to} in {destinations_file()}.") from error
    return replace(plan, size=size, there=tuple(None if one is None else one.size for one in there))


async def _ask(customer: str, export_id: str, to: str, by: str) -> DeliveryRequested:
    settings, now = read_settings(), choose_clock()()
    await _archive(settings, customer, export_id)
    check_destination(destinations_file(), to, customer)
    asked_for = DeliveryRequested(
        customer_id=customer,
        request_id=f"deliver-{uuid4()}",
        export_id=export_id,
        destination=to,
        requested_by=by,
        requested_at=now,
    )
    await say(asked_for)
    return asked_for


async def _archive(settings: Settings, customer: str, export_id: str) -> tuple[Copy, Copy | None]:
    policy = load_policy(policy_file(), "exporter", ExporterPolicy)
    state = await state_of(settings.dsn("exporter"), customer)
    return deliverable(state, export_id, choose_clock()(), policy), needed_by(state.known, export_id)


def deliverable(state: State, export_id: str, now: datetime, policy: ExporterPolicy) -> Copy:
    """Give the archive that may be sent; raises NotDeliverableError with the reason that the event would give."""
    reason = objection(state, now, policy)
    copy = ready(state.known, export_id)
    if reason is not None or not isinstance(copy, Copy):
        word = reason or copy
        raise NotDeliverableError(f"It would be refused, {word}: {SAYS[str(word)]}")
    return copy


def _shown(plan: Plan) -> str:
    at, lines = plan.destination, [f"would be sent: {decimal(plan.size)}, sha256 {plan.archive.sha256}"]
    if plan.base is not None:
        lines.append(f"a delta, and {plan.base.export_id}, without which it is not complete, before it")
    for key, there in zip(plan.keys, plan.there, strict=True):
        found = "nothing lies there" if there is None else f"there lies an object of {there} bytes already"
        lines += f"to {at.address.endpoint}/{at.bucket}/{key}", found
    return "\n".join(lines)


ASKED = (
    "asked for as {request_id}: ExportDelivered says when it lies at {destination}; DeliveryFailed says why it doesn't"
)
SAYS = {
    "unknown_customer": "no contract of the customer is known.",
    "window_not_open": "a contract goes on. Archives are given after its end, for the days of the window.",
    "window_closed": "the window is over, and what is left is deleted.",
    "already_erased": "all of the customer's archives are deleted.",
    "not_agreed": "help with moving was not agreed on. TransferAgreed says that it was.",
    "agreement_withdrawn": "the agreement on help with moving was withdrawn. A new one is a new TransferAgreed.",
    "unknown_export": "there is no such archive. offramp case show names those that there are.",
    "not_ready": "the archive is still being built. Ask again when ExportReady is there.",
    "checksum_unknown": "it was built before checksums were kept. Ask for a new one with ExportRequested.",
}
