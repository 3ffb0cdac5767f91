"""What the mailer does in the platform's own database: look up an address, write a status."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

from shared.performer import Attempt, Performance
from shared.run import group
from shared.settings import Settings
from shared.worker import Service

from .mailer import NAME, Inform, Informed, Mark, Marked, domain


@dataclass(frozen=True)
class Accounts:
    """The customers' rows in the platform's database at *dsn*."""

    dsn: str

    async def inform(self, task: Inform, _: Attempt) -> Informed:
        """Look whether the customer has an address; the demo sends no letter."""
        address = await self._ask(ADDRESS, task.customer_id)
        return Informed(
            customer_id=task.customer_id,
            announcement_id=task.announcement_id,
            outcome="delivered" if address else "bounced",
        )

    async def mark(self, task: Mark, _: Attempt) -> Marked:
        """Write the customer's status, unless a later one stands already."""
        await self._ask(MARK, task.customer_id, task.status, task.revision)
        return Marked(customer_id=task.customer_id, revision=task.revision)

    async def _ask(self, query: str, *values: object) -> object:
        connection = await asyncpg.connect(self.dsn)
        try:
            return await connection.fetchval(query, *values)
        finally:
            await connection.close()


def build(settings: Settings) -> Service:
    """Put the mailer together."""
    accounts = Accounts(settings.dsn("platform"))
    performances = (Performance(Inform, accounts.inform), Performance(Mark, accounts.mark))
    return Service(domain(), performances=performances)


app = group(NAME, 6071, build)

ADDRESS = "select contact_email from customers where id = $1"

# Two changes may be written in either order, since the performer works on several tasks at once.
MARK = """
    update customers set status = $2, status_revision = $3
     where id = $1 and status_revision < $3
"""
