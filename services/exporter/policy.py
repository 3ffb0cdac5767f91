"""What the exporter has to be told by the policy."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from shared.events.vocabulary import Code
from shared.policy import PolicyPart, WindowDays

Wait = Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(days=30))]


class ExporterPolicy(PolicyPart):
    """How long the window is, how long a request that is too early waits, how often an archive is tried.

    *not_open_wait* is for topics that lag: the request may be read before the termination that opens the window.
    *holder* is the name under which deletion commands reach this service. Of tables with at most *compare_up_to* rows
    the archive's rows are compared with the source's before it is ready; of larger ones only their number is. A dump of
    at most *restore_up_to* rows in all is restored by psql.
    """

    window_days: WindowDays
    unknown_customer_wait: Wait
    not_open_wait: Wait
    attempts: Annotated[int, Field(ge=1)]
    holder: Code
    compare_up_to: Annotated[int, Field(ge=0)]
    restore_up_to: Annotated[int, Field(ge=0)]
