"""Composition root of the exporter: policy and holders in, one worker out; ``offramp exporter run``."""

from __future__ import annotations

from pathlib import Path

from shared.declared import destinations_file, holders_file, policy_file
from shared.errors import OperatorError
from shared.holder.declaration import Holder, PostgresHolder, S3Holder, load_holders
from shared.holder.heard import HoldTopics, KeptHoldTopics
from shared.policy import load_policy
from shared.run import group
from shared.settings import Settings
from shared.signing.keys import local_keys
from shared.signing.place import keys_folder
from shared.signing.signer import Signer
from shared.signing.sshsig import ARCHIVE
from shared.worker import Service, group_of

from .deliver import Delivering
from .destinations import check_destinations
from .domain import domain
from .perform import Exporting
from .policy import ExporterPolicy

MIGRATIONS = Path(__file__).parent / "migrations"


class NothingToExportError(OperatorError):
    """The declared holders don't say what to export, or where to."""


def build(settings: Settings) -> Service:
    """Put the service together; the keys that sign archives are looked at now. Raises OperatorError."""
    policy = load_policy(policy_file(), "exporter", ExporterPolicy)
    holders = load_holders(holders_file())
    archives = the_archives(holders, policy.holder, settings)
    keys = keys_folder(settings.home, "exporter")
    local_keys(keys, ARCHIVE)
    Signer.load(keys, ARCHIVE)
    comparing = policy.compare_up_to, policy.restore_up_to
    topics = KeptHoldTopics(
        HoldTopics(settings.kafka, group_of(settings.topic_prefix, "exporter"), settings.topic_prefix)
    )
    exporting = Exporting(settings, the_database(holders), archives, keys, topics, *comparing)
    check_destinations(destinations_file())
    delivering = Delivering(settings, policy, destinations_file())
    work = (*exporting.performances(), *delivering.performances())
    return Service(domain(policy), work, (MIGRATIONS,), kept=(topics,))


def the_database(holders: tuple[Holder, ...]) -> PostgresHolder:
    """Give the one database that archives are made of; a second one would be left out in silence."""
    databases = [holder for holder in holders if isinstance(holder, PostgresHolder)]
    if len(databases) != 1:
        names = ", ".join(holder.name for holder in databases) or "none"
        raise NothingToExportError(
            f"{holders_file()}: an archive is made of exactly one database, but declared are: {names}. "
            "Name another list in OFFRAMP_HOLDERS."
        )
    return databases[0]


def the_archives(holders: tuple[Holder, ...], name: str, settings: Settings) -> S3Holder:
    """Give the place of archives; it must be the one that deletions and checks look at."""
    for holder in holders:
        if isinstance(holder, S3Holder) and holder.name == name and holder.bucket == settings.exports_bucket:
            return holder
    raise NothingToExportError(
        f"{holders_file()}: the holder {name} (exporter.holder in {policy_file()}) must be declared, of kind s3, with "
        f"the bucket {settings.exports_bucket} (OFFRAMP_EXPORTS_BUCKET). Make them the same."
    )


app = group("exporter", 6067, build)
