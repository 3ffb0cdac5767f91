"""Composition root of a holder: the list of holders in, one worker out; ``offramp holder run``."""

from __future__ import annotations

import asyncio

import structlog

from ..clock import MovedClock
from ..clocksetting import choose_clock
from ..declared import holders_file
from ..errors import OperatorError
from ..performer import Performance
from ..run import group
from ..settings import Settings
from ..worker import Service, group_of
from .declaration import load_holders
from .domain import HolderPolicy, domain
from .erasures import RestoredError
from .heard import HoldTopics, KeptHoldTopics
from .perform import Eraser
from .replay import check_served, declared
from .tasks import Erase

NAME = "holder"
_log = structlog.get_logger()


def build(settings: Settings, name: str = NAME) -> Service:
    """Put together the holder that answers for every declared holder with ``answered_by: <name>``."""
    file = holders_file()
    holders = {one.name: one for one in load_holders(file) if one.answered_by == name}
    if not holders:
        msg = f"{file}: no holder is answered by {name!r}. Declare one, or name another list in OFFRAMP_HOLDERS."
        raise OperatorError(msg)
    topics = KeptHoldTopics(HoldTopics(settings.kafka, group_of(settings.topic_prefix, name), settings.topic_prefix))
    eraser = Eraser(name, holders, settings, isinstance(choose_clock(), MovedClock), topics)
    return Service(
        domain(HolderPolicy(frozenset(holders)), name), performances=(Performance(Erase, eraser),), kept=(topics,)
    )


def refuse_if_restored() -> None:
    """Keep a holder from starting on a database from which erased customers have to be erased again."""
    for place in declared(NAME):
        try:
            asyncio.run(check_served(place))
        except RestoredError:
            raise
        except OperatorError as unreachable:
            # Whoever can't be asked now is asked again before each deletion.
            _log.warning("not asked whether it was restored", holder=place.holder, details=str(unreachable))


app = group(NAME, 6070, build, before=refuse_if_restored)
