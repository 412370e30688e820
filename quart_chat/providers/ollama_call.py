"""One request on a connection of its own, so that it can be left at any moment without a trace."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import httpx

log = logging.getLogger(__name__)

CLOSE_S = 2.0
TRANSPORT_ERRORS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError, OSError)
"""Everything that httpx lets through; `TimeoutError` of asyncio is an `OSError`."""

JSON_HEADERS = {"Content-Type": "application/json"}


class Call:
    """`headers`, then read `response`, then `close`, which may come at any time and always gets through.

    A pool for all of them would forget connections whose request is cancelled in the moment they are made, and
    they would stay open for ever. So each has a `client` of its own, which may serve another call after it when
    the answer was `read_out`.
    """

    response: httpx.Response

    def __init__(self, client: httpx.AsyncClient, path: str, body: bytes) -> None:
        self.client = client
        self.read_out = False
        self._path = path
        self._body = body

    async def headers(self) -> httpx.Response:
        """Returns when the engine begins to answer, however long that takes. Raises what httpx raises."""
        request = self.client.build_request("POST", self._path, content=self._body, headers=JSON_HEADERS)
        self.response = await self.client.send(request, stream=True)
        return self.response

    async def close(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_S):
                await self.client.aclose()
        except TRANSPORT_ERRORS as error:
            log.debug("closing a connection: %s: %s", type(error).__name__, said_by(error))


def said_by(error: Exception) -> str:
    """Its text for the log. One about the protocol quotes the bytes it stumbled over, which may be an answer's."""
    return "not HTTP" if isinstance(error, httpx.ProtocolError | UnicodeError) else str(error)


async def read_all(response: httpx.Response, limit: int) -> bytes:
    """The body, cut at `limit`."""
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_bytes():
        parts.append(part)
        size += len(part)
        if size >= limit:
            break
    return b"".join(parts)[:limit]


async def drain(parts: AsyncIterator[bytes], limit_s: float) -> bool:
    """Reads a body whose answer is complete to its end: a stream that is closed early can cost a slot.

    True: it has ended, as the protocol wants it.
    """
    try:
        async with asyncio.timeout(limit_s):
            async for _ in parts:
                continue
    except TRANSPORT_ERRORS as error:
        log.debug("after the end of an answer: %s: %s", type(error).__name__, said_by(error))
        return False
    return True
