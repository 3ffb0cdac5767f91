"""A store that isn't ours, in front of the real one: it passes on what it is asked, unless a fault is set."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

import aiohttp
from aiohttp import web
from yarl import URL

Fault: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse | None]]
_HOP = {"transfer-encoding", "connection", "keep-alive", "content-encoding", "content-length"}


async def _none(_: web.Request) -> web.StreamResponse | None:
    return None


@dataclass
class FarEnd:
    """Where it listens, what it was asked, and what goes wrong there.

    *alter* changes the bytes that it gives out; *instead* answers otherwise after what was asked for was done.
    """

    endpoint: str = ""
    fault: Fault = _none
    instead: Fault = _none
    alter: Callable[[bytes], bytes] = lambda body: body
    asked: list[str] = field(default_factory=list)

    def count(self, what: str) -> int:
        """Tell how often it was asked *what* (a method and a part of the query)."""
        return sum(what in one for one in self.asked)


@asynccontextmanager
async def far_end(real: str) -> AsyncIterator[FarEnd]:
    """Listen on loopback, in front of the store at *real*."""
    far = FarEnd()
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def pass_on(request: web.Request) -> web.StreamResponse:
            far.asked.append(f"{request.method} {request.raw_path}")
            failed = await far.fault(request)
            if failed is not None:
                return failed
            body = await request.read()
            # With its own host name, or the signature would be of another request.
            headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
            url = URL(real + request.raw_path, encoded=True)
            async with session.request(
                request.method, url, headers=headers, data=io.BytesIO(body) if body else None
            ) as answer:
                got = await answer.read()
                other = await far.instead(request)
                if other is not None:
                    return other
                kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
                if request.method == "HEAD":
                    kept["Content-Length"] = answer.headers.get("Content-Length", "0")
                given = far.alter(got) if request.method == "GET" and "?" not in request.raw_path else got
                return web.Response(
                    status=answer.status, headers=kept, body=None if request.method == "HEAD" else given
                )

        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{all:.*}", pass_on)
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        far.endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield far
        finally:
            await runner.cleanup()
