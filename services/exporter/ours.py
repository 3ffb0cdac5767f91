"""Whether a destination is our own store, by whatever name: what is sent there would be a copy that no deletion finds.

One store answers to many names (an alias, a proxy, another spelling of the port), so names alone can't tell.
"""

from __future__ import annotations

from shared.errors import OperatorError
from shared.sending import FarEndRefusalError, FarPlace, look
from shared.settings import Settings

from .destinations import Destination


class OursError(OperatorError):
    """The destination is a bucket of ours, or can't be told from one."""


async def insist_that_it_is_not_ours(settings: Settings, destination: Destination, same_there: FarPlace) -> None:
    """Raise OursError where *destination* is a bucket of ours, which is asked only if it is called as one.

    *same_there* is the archive's own bucket and key, at the destination: only our own store has it there. Raises
    FarEndAwayError.
    """
    if destination.bucket not in {settings.exports_bucket, settings.certificates_bucket}:
        return
    ours = f"destination {destination.name}: {destination.bucket} is a bucket of ours, or can't be told from it. "
    if destination.address.endpoint == settings.s3.endpoint or await _lies_there(same_there):
        raise OursError(f"{ours}Write down another bucket: a copy in that one would outlive the customer's deletion.")


async def _lies_there(place: FarPlace) -> bool:
    try:
        return await look(place) is not None
    except FarEndRefusalError as error:
        # Whoever says no may have it.
        return error.why != "no_bucket"
