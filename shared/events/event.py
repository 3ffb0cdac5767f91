"""What every event is: a past-tense fact about one customer, frozen, versioned, without personal data."""

from __future__ import annotations

from typing import ClassVar

from .vocabulary import Code, CustomerId, Value


class Event(Value):
    """A fact about one customer; its class name is its type and its topic, *customer_id* its key.

    A changed meaning, a removed or a newly required field needs a new ``version``; an added
    optional field does not.
    """

    version: ClassVar[int] = 1
    # Who may publish it: the name of a service, or "platform" for the services around us.
    owner: ClassVar[str] = "platform"

    customer_id: CustomerId

    @classmethod
    def type(cls) -> str:
        """Name the event as the topic, the CloudEvents ``type`` and the documents do."""
        return cls.__name__


class Instruction(Value):
    """An operator's low-rate instruction to one service, keyed by the service's name."""

    version: ClassVar[int] = 1
    owner: ClassVar[str] = "operators"

    service: Code

    @classmethod
    def type(cls) -> str:
        """Name the instruction as its topic does."""
        return cls.__name__
