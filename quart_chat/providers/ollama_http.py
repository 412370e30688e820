"""The wire to Ollama: one connection pool, httpx's failures turned into ours, streams that really close."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import httpx
import msgspec

from quart_chat.errors import EngineBusyError, EngineUnavailableError, ModelError
from quart_chat.providers.ollama_errors import error_from_answer

log = logging.getLogger(__name__)

T = TypeVar("T")

CONNECT_S = 5.0
WRITE_S = 60.0
CLOSE_S = 2.0
BODY_LIMIT = 32 * 1024 * 1024
ERROR_LIMIT = 64 * 1024
TRANSPORT_ERRORS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError, OSError)
JSON_HEADERS = {"Content-Type": "application/json"}


class UnreachableError(EngineUnavailableError):
    """Nobody listens at the address; nothing was sent."""


class OllamaWire:
    """Opens nothing before the first request. After `close` every call raises `EngineUnavailableError`.

    `retries`: how often `retried` asks again when nobody listens or the engine is too busy.
    """

    def __init__(self, base_url: str, *, retries: int = 0, backoff_s: float = 0.2) -> None:
        self.base_url = base_url.rstrip("/")
        self._pauses_s = tuple(backoff_s * 2**n for n in range(retries))
        self._client: httpx.AsyncClient | None = None
        self._closed = False
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def shown_url(self) -> str:
        """The address without a user name and password it may carry."""
        scheme, mark, rest = self.base_url.partition("://")
        return f"{scheme}{mark}{rest.rpartition('@')[2]}"

    async def get(self, path: str, shape: type[T], *, timeout_s: float) -> T:
        """Raises `TimeoutError`, as `post` does, after `timeout_s`: only the caller knows what that means."""
        return await self._ask("GET", path, None, shape, timeout_s, "")

    async def post(self, path: str, body: bytes, shape: type[T], *, timeout_s: float, model: str = "") -> T:
        return await self._ask("POST", path, body, shape, timeout_s, model)

    async def send(self, path: str, body: bytes) -> httpx.Response:
        """Sends a request and returns at its headers, however long that takes; the caller must `hang_up`."""
        client = self._ready()
        try:
            request = client.build_request("POST", path, content=body, headers=JSON_HEADERS)
            return await client.send(request, stream=True)
        except TRANSPORT_ERRORS as error:
            raise self.unavailable(error) from error

    async def retried(self, ask: Callable[[], Awaitable[T]]) -> T:
        """For requests that nothing came back from yet; any other failure is raised at once."""
        for pause_s in self._pauses_s:
            try:
                return await ask()
            except (UnreachableError, EngineBusyError) as error:
                log.info("asking Ollama again in %.1f s: %s", pause_s, error.message)
            await asyncio.sleep(pause_s)
        return await ask()

    async def hang_up(self, response: httpx.Response) -> None:
        """Closes a stream even if the caller is being cancelled, and waits for it, at most `CLOSE_S`."""
        await self.shielded(_close(response))

    async def shielded(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        await asyncio.shield(task)

    async def close(self) -> None:
        self._closed = True
        if self._closing:
            await asyncio.wait(self._closing)
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def unavailable(self, error: Exception) -> EngineUnavailableError:
        log.info("Ollama at %s: %s: %s", self.shown_url, type(error).__name__, error)
        if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | UnicodeError):
            return EngineUnavailableError(f"{self.shown_url} is not a valid address for Ollama.", retry=False)
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return UnreachableError(f"Ollama is not answering at {self.shown_url}.")
        return EngineUnavailableError(f"The connection to Ollama at {self.shown_url} broke.")

    async def _ask(self, method: str, path: str, body: bytes | None, shape: type[T], timeout_s: float, model: str) -> T:
        client = self._ready()
        try:
            async with (
                asyncio.timeout(timeout_s),
                client.stream(method, path, content=body, headers=JSON_HEADERS if body else None) as response,
            ):
                data = await read_all(response, BODY_LIMIT if response.status_code == 200 else ERROR_LIMIT)
        except TRANSPORT_ERRORS as error:
            if isinstance(error, TimeoutError):
                raise
            raise self.unavailable(error) from error
        if response.status_code != 200:
            raise error_from_answer(response.status_code, content_type(response), data, model)
        return _decoded(data, shape)

    def _ready(self) -> httpx.AsyncClient:
        if self._closed:
            raise EngineUnavailableError("The connection to Ollama has been closed.")
        if self._client is None:
            self._client = self._build()
        return self._client

    def _build(self) -> httpx.AsyncClient:
        try:
            return httpx.AsyncClient(
                base_url=self.base_url,
                trust_env=False,
                # reading the system's certificates takes tens of milliseconds, and http has no use for them
                verify=ssl.create_default_context() if self.base_url.lower().startswith("https:") else False,
                headers={"Accept-Encoding": "identity"},
                timeout=httpx.Timeout(connect=CONNECT_S, read=None, write=WRITE_S, pool=None),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            )
        except (httpx.InvalidURL, UnicodeError) as error:
            raise self.unavailable(error) from error


def content_type(response: httpx.Response) -> str:
    return str(response.headers.get("content-type", ""))


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


async def drain(parts: AsyncIterator[bytes], limit_s: float) -> None:
    """Reads to the end of a body whose answer is complete, so that the connection can be used again."""
    with contextlib.suppress(*TRANSPORT_ERRORS):
        async with asyncio.timeout(limit_s):
            async for _ in parts:
                continue


async def _close(response: httpx.Response) -> None:
    try:
        async with asyncio.timeout(CLOSE_S):
            await response.aclose()
    except TRANSPORT_ERRORS as error:
        log.debug("closing a stream: %s: %s", type(error).__name__, error)


def _decoded(data: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        log.warning("not what Ollama would say: %s: %.300r", error, data[:300])
        raise ModelError("What answers at this address does not speak like Ollama.", retry=False) from error
