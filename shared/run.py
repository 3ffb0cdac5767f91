"""The command ``offramp SERVICE run``, the same for every service: settings in, one worker out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from .clocksetting import choose_clock
from .settings import Settings, read_settings
from .worker import Place, Service


def group(
    name: str, port: int, build: Callable[[Settings], Service], before: Callable[[], None] = lambda: None
) -> typer.Typer:
    """Make the group of commands of service *name*; *build* is its composition root, *port* its web pages' default.

    *before* is called once before the worker starts; an ``OperatorError`` of its keeps it from starting.
    """
    app = typer.Typer(help=f"The {name} service.", no_args_is_help=True)
    app.callback()(lambda: None)

    @app.command()
    def run(
        web_host: Annotated[str, typer.Option(help="where the pages are served")] = "127.0.0.1",
        web_port: Annotated[int, typer.Option(help="/health, /ready and /metrics")] = port,
        plain_logs: Annotated[bool, typer.Option(help="logs for people instead of JSON")] = sys.stderr.isatty(),
    ) -> None:
        """Run one worker until SIGTERM; start more of them to share the work."""
        # Imported late: Faust takes a second, and no other command needs it.
        from .shell import Web  # noqa: PLC0415
        from .shell import run as run_shell  # noqa: PLC0415

        before()
        settings = read_settings()
        settings.home.mkdir(parents=True, exist_ok=True)
        place = Place(settings.kafka, settings.dsn(name), settings.topic_prefix, choose_clock())
        run_shell(build(settings), place, Web(web_host, web_port), settings.home, json_logs=not plain_logs)

    return app
