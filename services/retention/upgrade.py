"""The second certificate: the copies that the first one named have expired; canonical JSON."""

from __future__ import annotations

import json
from typing import Literal

from shared.events.vocabulary import CustomerId, Place, Ref, Sha256, Value

from .tasks import CopyToExpire, Upgrade

SECOND = (
    "The certificate whose digest is first_sha256 said that copies of this customer's data would expire by themselves. "
    "The last of the moments that it named has passed. That the copies were removed then is the work of the systems "
    "that keep them, by the retention that was declared; it was not read back."
)


class SecondStage(Value):
    """What the second certificate says: the copies that the first one named have expired."""

    format: Literal["offramp-upgrade/1"]
    customer_id: CustomerId
    deletion_id: Ref
    stage: Literal["full"]
    first_certificate: Place
    first_sha256: Sha256
    expired: tuple[CopyToExpire, ...]


def second_document(facts: Upgrade) -> bytes:
    """Write the second certificate as canonical JSON, too."""
    said = SecondStage(
        format="offramp-upgrade/1",
        customer_id=facts.customer_id,
        deletion_id=facts.deletion_id,
        stage="full",
        first_certificate=facts.certificate,
        first_sha256=facts.certificate_sha256,
        expired=facts.copies,
    )
    about = {"what": SECOND}
    written = {"about": about, **said.model_dump(mode="json")}
    return json.dumps(written, sort_keys=True, ensure_ascii=False, indent=1).encode() + b"\n"
