"""``offramp export link``: a link to a ready archive, for support to hand on."""

from __future__ import annotations

import json
from typing import Annotated
from uuid import uuid4

import msgspec
import typer
import uvloop

from shared.clocksetting import choose_clock
from shared.declared import policy_file
from shared.errors import OperatorError
from shared.events.platform import LinkRevocationRequested
from shared.objects import ObjectStore
from shared.operations.casebook import UnreadableCaseError, UnreadableDatabaseError, asked
from shared.operations.reference import reference
from shared.operations.saying import say
from shared.policy import load_policy
from shared.settings import read_settings
from shared.statecodec import StateCodec

from .case import STATE
from .link import Grant, NoLinkError, grant
from .policy import ExporterPolicy
from .states import Copy, State


def link(
    customer: Annotated[str, typer.Argument(help="Whose archive.")],
    export_id: Annotated[str | None, typer.Argument(help="Which one; default: the newest.")] = None,
    *,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take back all links to it that were given.")] = False,
    by: Annotated[
        str, typer.Option(callback=reference, help="Who takes them back, as an opaque reference.")
    ] = "support",
    as_json: Annotated[bool, typer.Option("--json", help="Print the link as JSON.")] = False,
) -> None:
    """Give a link to each volume of a ready archive: to the window's end, for a week at most; any number can be had."""
    if revoke:
        asked_for = uvloop.run(_revoke(customer, export_id, by))
        typer.echo(asked_for.model_dump_json(indent=2) if as_json else REVOKING.format(**asked_for.model_dump()))
        return
    given, links = uvloop.run(_link(customer, export_id))
    until = f"{given.expires_at:%Y-%m-%dT%H:%M:%SZ}"
    *before, urls = links
    named: dict[str, object] = {"export_id": given.archive.export_id, "urls": urls, "expires_at": until}
    if given.base is not None:
        named["base"] = {"export_id": given.base.export_id, "urls": before[0]}
    typer.echo(json.dumps(named, indent=2) if as_json else _as_text(given, links, until))


def _as_text(given: Grant, links: list[list[str]], until: str) -> str:
    shown = "\n".join(url for urls in links for url in urls)
    if given.base is not None:
        base = given.base.export_id
        return (
            f"{shown}\nuntil {until}\n{NOT_ALL.format(delta=given.archive.export_id, base=base, first=len(links[0]))}"
        )
    several = f"\nall {len(links[0])} of them together are the archive" if len(links[0]) > 1 else ""
    return f"{shown}\nuntil {until}{several}"


async def _link(customer: str, export_id: str | None) -> tuple[Grant, list[list[str]]]:
    """Give the links to each volume of the archive; of a delta, those to its base's before them."""
    settings, now = read_settings(), choose_clock()()
    policy, dsn = load_policy(policy_file(), "exporter", ExporterPolicy), settings.dsn("exporter")
    wanted = grant(await state_of(dsn, customer), export_id, now, policy)
    async with ObjectStore(settings.s3) as store:
        # A link to what is gone would look as good as any other.
        found = [
            [(place, await store.head(*place, version)) for place, version in _places(copy)] for copy in wanted.copies
        ]
        # After the version: had links been taken back since, this would be the one to which they no longer lead.
        given = grant(await state_of(dsn, customer), wanted.archive.export_id, now, policy)
        if [one.volumes for one in given.copies] != [one.volumes for one in wanted.copies]:
            raise NoLinkError("Links to this archive were taken back just now. Ask again.")
        seconds = int((given.expires_at - now).total_seconds())
        return given, [[await store.link(*place, seconds, one.version) for place, one in copy] for copy in found]


def _places(copy: Copy) -> list[tuple[tuple[str, str], str | None]]:
    named = [(one.place.removeprefix("s3://").partition("/"), one.version or None) for one in copy.volumes]
    return [((bucket, key), version) for (bucket, _, key), version in named]


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
    """Read the case of *customer*; raises OperatorError where there is none that can be read, or no database."""
    try:
        text = await asked(dsn, lambda connection: connection.fetchval(STATE, customer))
    except UnreadableDatabaseError as error:
        raise OperatorError(f"The exporter's database {error}. Look at OFFRAMP_POSTGRES.") from error
    if text is None:
        raise NoLinkError(f"The exporter never heard of {customer}.")
    try:
        return StateCodec[State](State).load(text)
    except msgspec.ValidationError as error:
        raise UnreadableCaseError("exporter", customer, error) from error


NOT_ALL = (
    "NOT ALL OF IT: {delta} is a delta, complete only together with {base}, to which the first {first} of these lead: "
    "offramp export join"
)
REVOKING = "asked for as {request_id}: links to {export_id} end with LinksRevoked; LinkRevocationFailed says why not"
