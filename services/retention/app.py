"""Composition root of the retention service: policy, holders and keys in, one worker out; ``offramp retention run``."""

from __future__ import annotations

from pathlib import Path

from shared.declared import holders_file, policy_file
from shared.errors import OperatorError
from shared.holder.declaration import Holder, S3Holder, load_holders
from shared.holder.kept_buckets import maps_of
from shared.run import group
from shared.settings import Settings
from shared.signing.keys import local_keys
from shared.signing.paperkeys import TIMESTAMP_ROOTS, PaperKeys
from shared.signing.place import keys_folder
from shared.signing.signer import Signer
from shared.worker import Service

from .commands import waiting
from .declared import load_retention_policy
from .domain import domain
from .dues import Dues
from .perform import Shelf, performances
from .reading import Reader

MIGRATIONS = Path(__file__).parent / "migrations"
# Whoever keeps the export archives; the name by which holders.yaml calls it.
_EXPORTER = "exporter"


class MisdeclaredError(OperatorError):
    """The declared holders and the settings disagree; a deletion would look in the wrong place."""


def build(settings: Settings) -> Service:
    """Put the service together; what it would need in 90 days is looked at now. Raises OperatorError."""
    policy = load_retention_policy(policy_file(), holders_file())
    holders = load_holders(holders_file())
    check_declared(holders, settings)
    keys = keys_folder(settings.home)
    local_keys(keys)
    Signer.load(keys)
    check_stamping(PaperKeys.load(keys), settings, keys)
    shelf = Shelf(settings.s3, settings.certificates_bucket, keys, settings.timestamp_authority)
    dues = Dues(settings.dsn("retention"), policy.blast_radius.customers)
    work = performances(Reader(holders, settings), dues, shelf)
    return Service(domain(policy), work, (MIGRATIONS,), kept=(dues,))


def check_stamping(paper: PaperKeys, settings: Settings, keys: Path) -> None:
    """Refuse an authority for timestamps for which no root is known: nobody could check what it says."""
    if settings.timestamp_authority is not None and not paper.timestamp_roots:
        raise MisdeclaredError(
            f"OFFRAMP_TIMESTAMP_AUTHORITY is {settings.timestamp_authority}, but {keys / TIMESTAMP_ROOTS} is missing. "
            "Put the root certificates of that authority there, as PEM."
        )


def check_declared(holders: tuple[Holder, ...], settings: Settings) -> None:
    """Refuse holders whose maps can't be read, or whose buckets are not those that the other services use.

    So it is with those of which one deletes objects that another one keeps for a law.
    """
    buckets = [holder for holder in holders if isinstance(holder, S3Holder)]
    maps_of(holders)
    if any(holder.bucket == settings.certificates_bucket for holder in buckets):
        raise MisdeclaredError(
            f"{holders_file()}: the bucket {settings.certificates_bucket} keeps the certificates, so it can't be "
            "emptied as a holder. Name another one, or set OFFRAMP_CERTIFICATES_BUCKET."
        )
    exports = {holder.bucket for holder in buckets if holder.answered_by == _EXPORTER}
    if exports != {settings.exports_bucket}:
        raise MisdeclaredError(
            f"{holders_file()}: archives lie in {settings.exports_bucket} (OFFRAMP_EXPORTS_BUCKET), but the holders "
            f"answered by {_EXPORTER} name {', '.join(sorted(exports)) or 'none'}. Make them the same."
        )


app = group("retention", 6068, build)
app.command()(waiting)
