"""``offramp export link``: a link to a ready archive, for support to hand on."""

from __future__ import annotations

import json
from typing import Annotated
from uuid import uuid4

import typer
import uvloop

from shared.clocksetting import choose_clock
from shared.declared import policy_file
from shared.errors import OperatorError
from shared.events.platform import LinkRevocationRequested
from shared.objects import ObjectStore
from shared.operations.casebook import UnreadableDatabaseError, asked
from shared.operations.saying import say
from shared.policy import load_policy
from shared.settings import read_settings
from shared.statecodec import StateCodec

from .case import STATE
from .link import Grant, NoLinkError, grant
from .policy import ExporterPolicy
from .states import State


def link(
    customer: Annotated[str, typer.Argument(help="Whose archive.")],
    export_id: Annotated[str | None, typer.Argument(help="Which one; default: the newest.")] = None,
    *,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take back all links to it that were given.")] = False,
    by: Annotated[str, typer.Option(help="Who takes them back, as an opaque reference.")] = "support",
    as_json: Annotated[bool, typer.Option("--json", help="Print the link as JSON.")] = False,
) -> None:
    """Give a link to each volume of a ready archive: to the window's end, for a week at most; any number can be had."""
    if revoke:
        asked_for = uvloop.run(_revoke(customer, export_id, by))
        typer.echo(asked_for.model_dump_json(indent=2) if as_json else REVOKING.format(**asked_for.model_dump()))
        return
    given, urls = uvloop.run(_link(customer, export_id))
    until = f"{given.expires_at:%Y-%m-%dT%H:%M:%SZ}"
    named = {"export_id": given.archive.export_id, "urls": urls, "expires_at": until}
    several = f"\nall {len(urls)} of them together are the archive" if len(urls) > 1 else ""
    typer.echo(json.dumps(named, indent=2) if as_json else "\n".join(urls) + f"\nuntil {until}{several}")


async def _link(customer: str, export_id: str | None) -> tuple[Grant, list[str]]:
    settings, now = read_settings(), choose_clock()()
    policy, dsn = load_policy(policy_file(), "exporter", ExporterPolicy), settings.dsn("exporter")
    wanted = grant(await state_of(dsn, customer), export_id, now, policy)
    places = [one.place.removeprefix("s3://").partition("/")[::2] for one in wanted.archive.volumes]
    async with ObjectStore(settings.s3) as store:
        # A link to what is gone would look as good as any other.
        found = [
            await store.head(*place, one.version or None)
            for place, one in zip(places, wanted.archive.volumes, strict=True)
        ]
        # After the version: had links been taken back since, this would be the one to which they no longer lead.
        given = grant(await state_of(dsn, customer), wanted.archive.export_id, now, policy)
        if given.archive.volumes != wanted.archive.volumes:
            raise NoLinkError("Links to this archive were taken back just now. Ask again.")
        seconds = int((given.expires_at - now).total_seconds())
        return given, [await store.link(*place, seconds, one.version) for place, one in zip(places, found, strict=True)]


async def _revoke(customer: str, export_id: str | None, by: str) -> LinkRevocationRequested:
    settings, now = read_settings(), choose_clock()()
    policy = load_policy(policy_file(), "exporter", ExporterPolicy)
    archive = grant(await state_of(settings.dsn("exporter"), customer), export_id, now, policy).archive
    asked_for = LinkRevocationRequested(
        customer_id=customer,
        request_id=f"revoke-{uuid4()}",
        export_id=archive.export_id,
        requested_by=by,
        requested_at=now,
    )
    await say(asked_for)
    return asked_for


async def state_of(dsn: str, customer: str) -> State:
    """Read the case of *customer*; raises OperatorError where there is none, or no database."""
    try:
        text = await asked(dsn, lambda connection: connection.fetchval(STATE, customer))
    except UnreadableDatabaseError as error:
        raise OperatorError(f"The exporter's database {error}. Look at OFFRAMP_POSTGRES.") from error
    if text is None:
        raise NoLinkError(f"The exporter never heard of {customer}.")
    return StateCodec[State](State).load(text)


REVOKING = "asked for as {request_id}: links to {export_id} end with LinksRevoked; LinkRevocationFailed says why not"
