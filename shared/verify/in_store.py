"""Which objects of a store an archive is: one, or all volumes that lie beside each other there."""

from __future__ import annotations

import re

from ..errors import OperatorError
from ..objects import Listed, ObjectStore
from ..store_faults import ObjectMissingError

S3 = "s3://"
_OF_A_SET = re.compile(r"(.+)[.]vol[0-9]{3}([.]zip(?:[.]age)?)")


class NothingThereError(OperatorError):
    """No archive lies there, or none that could be named so."""


async def lying_at(store: ObjectStore, place: str) -> tuple[Listed, ...]:
    """Give the object at *place*, ``s3://bucket/key``; if it is one of several volumes, all of them, in order.

    Raises NothingThereError and StoreError.
    """
    bucket, _, key = place.removeprefix(S3).partition("/")
    if not bucket or not key:
        raise NothingThereError(f"{place}: it is no place of an object. It is s3://bucket/key.")
    keys, given = [key], _OF_A_SET.fullmatch(key)
    if given is not None:
        found = [(_OF_A_SET.fullmatch(one.key), one.key) async for one in store.list(bucket, f"{given[1]}.vol")]
        keys = sorted(key for named, key in found if named and named.groups() == given.groups()) or keys
    try:
        return tuple([await store.head(bucket, one) for one in keys])
    except ObjectMissingError as error:
        raise NothingThereError(f"{place}: nothing lies there. Name an archive that is there.") from error
