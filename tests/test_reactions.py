"""Every event has a reader: one of the three services, or somebody around us, for a reason that is written here."""

from __future__ import annotations

import pytest

from services.exporter.domain import REACTIONS as EXPORTER
from services.notice.domain import REACTIONS as NOTICE
from services.retention.domain import REACTIONS as RETENTION
from shared.events.catalogue import EVENTS
from shared.events.event import Event

SERVICES: dict[str, frozenset[type[Event]]] = {
    "notice": frozenset(NOTICE),
    "exporter": frozenset(EXPORTER),
    "retention": frozenset(RETENTION),
}

# Events that no service of ours reads, and who does.
FOR_OTHERS = {
    "NoticeAccepted": "support and the mailer tell the customer its dates (P12)",
    "NoticeRejected": "support and the mailer tell the customer why, and the earliest end (P1, P12)",
    "WithdrawalAccepted": "support and the mailer tell the customer that the contract goes on, or until when (P12)",
    "WithdrawalRejected": "support and the mailer tell the customer why (P12)",
    "ProlongationAccepted": "support and the mailer tell both sides the new end of the transition (P12)",
    "ProlongationRejected": "support and the mailer tell whoever asked why (P12)",
    "CompletionAccepted": "support and the mailer tell both sides on which day the contract is over (P12)",
    "CompletionRejected": "support and the mailer tell whoever reported it why (P12)",
    "DeadlineApproaching": "the mailer tells the customer, and answers with CustomerInformed (P12)",
    "DeltaReady": "whoever asked for it, and keeps the export that it is complete with (P3)",
    "ExportRefused": "support and the mailer tell the customer why (P3)",
    "ExportFailed": "support and operators see to it (P3)",
    "ExportDeleted": "whoever handed out the archive's address withdraws it (P7)",
    "DeletionCompleted": "support and auditors: evidence before the certificate is there (P11)",
    "DeletionStalled": "operators: the deletion can't go on without them (P7)",
    "LegalHoldAnswered": "whoever placed the hold, and auditors: what it saved and what it came too late for (P8)",
    "ErasureUpgraded": "support and auditors: the backups that the certificate named have expired (P7)",
    "CertificateAmended": "support and auditors: what a law had kept has had its time, and is gone (P8)",
    "LinksRevoked": "whoever asked for it, and whoever handed links out: they need another one (P4)",
    "ExportDelivered": "support and the mailer tell the customer and its new provider what lies where (P9)",
    "DeliveryFailed": "support and operators see to it, and tell the customer why (P9)",
    "LinkRevocationFailed": "support and operators: links still lead to the archive (P4)",
    "ConfirmationRejected": "support and the mailer tell whoever confirmed why it doesn't count (P10)",
    "EarlyDeletionRefused": "support and the mailer tell the customer why its data stays for now (P10)",
    "AccountClosed": "every platform service ends the account's access (P11)",
}


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_has_a_reader(name: str) -> None:
    """An event is read by a service of ours, or listed with who reads it; never both, never neither."""
    readers = [service for service, reactions in SERVICES.items() if EVENTS[name] in reactions]

    assert bool(readers) != (name in FOR_OTHERS), f"{name} is read by {readers or 'nobody'}"


def test_the_list_is_up_to_date() -> None:
    """The list of events for others names no event that doesn't exist."""
    assert FOR_OTHERS.keys() <= EVENTS.keys()


@pytest.mark.parametrize("service", SERVICES)
def test_only_published_events(service: str) -> None:
    """A service reads only events of the catalogue; the outcomes of its own tasks stand in a table of their own."""
    assert SERVICES[service] <= set(EVENTS.values())
