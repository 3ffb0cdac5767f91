"""What a database can run into, by its fate: an outage, which waits, or one event's fault, which is buried.

Without Kafka's, since an export has no Kafka, and its client is megabytes.
"""

from __future__ import annotations

import asyncpg

# What comes and goes with the database: then whatever was tried is tried again, and nothing is buried for it.
DATABASE_OUTAGES: tuple[type[Exception], ...] = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.CannotConnectNowError,
    # A database that is closed to connections for a while (ALTER DATABASE … ALLOW_CONNECTIONS false), or a lock.
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.InternalClientError,
    # A login that fails is a rotated password or a database being restored, never one event's fault.
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.UndefinedTableError,
)

# What one event's contents can do to a statement; the batch is then taken apart to find which.
POISONOUS: tuple[type[Exception], ...] = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
