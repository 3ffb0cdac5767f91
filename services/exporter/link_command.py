"""``offramp export link``: a link to a ready archive, for support to hand on."""

from __future__ import annotations

import json
from typing import Annotated

import typer
import uvloop

from shared.clock import system_clock
from shared.declared import policy_file
from shared.errors import OperatorError
from shared.objects import ObjectStore
from shared.operations.casebook import UnreadableDatabaseError, asked
from shared.policy import load_policy
from shared.settings import read_settings
from shared.statecodec import StateCodec

from .link import Grant, NoLinkError, grant
from .perform import STATE
from .policy import ExporterPolicy
from .states import State


def link(
    customer: Annotated[str, typer.Argument(help="Whose archive.")],
    export_id: Annotated[str | None, typer.Argument(help="Which one; default: the newest.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the link as JSON.")] = False,
) -> None:
    """Give a link to a ready archive: valid to the window's end, for a week at most; any number can be had."""
    given, url = uvloop.run(_link(customer, export_id))
    until = f"{given.expires_at:%Y-%m-%dT%H:%M:%SZ}"
    named = {"export_id": given.archive.export_id, "url": url, "expires_at": until}
    typer.echo(json.dumps(named, indent=2) if as_json else f"{url}\nuntil {until}")


async def _link(customer: str, export_id: str | None) -> tuple[Grant, str]:
    settings, now = read_settings(), system_clock()
    policy = load_policy(policy_file(), "exporter", ExporterPolicy)
    given = grant(await _state_of(settings.dsn("exporter"), customer), export_id, now, policy)
    bucket, _, key = given.archive.place.removeprefix("s3://").partition("/")
    async with ObjectStore(settings.s3) as store:
        # A link to what is gone would look as good as any other.
        await store.head(bucket, key)
        return given, await store.link(bucket, key, int((given.expires_at - now).total_seconds()))


async def _state_of(dsn: str, customer: str) -> State:
    try:
        text = await asked(dsn, lambda connection: connection.fetchval(STATE, customer))
    except UnreadableDatabaseError as error:
        raise OperatorError(f"The exporter's database {error}. Look at OFFRAMP_POSTGRES.") from error
    if text is None:
        raise NoLinkError(f"The exporter never heard of {customer}.")
    return StateCodec[State](State).load(text)
