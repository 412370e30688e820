"""The wire to Ollama: short requests over shared connections, long ones each on its own, failures as our errors."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx
import msgspec

from quart_chat.errors import EngineBusyError, EngineSilentError, EngineUnavailableError, ModelError
from quart_chat.providers.ollama_call import JSON_HEADERS, TRANSPORT_ERRORS, Call, read_all, said_by
from quart_chat.providers.ollama_errors import error_from_answer
from quart_chat.providers.owned_tasks import OwnedTasks, outcome

log = logging.getLogger(__name__)

T = TypeVar("T")

CONNECT_S = 5.0
WRITE_S = 60.0
BODY_LIMIT = 32 * 1024 * 1024
ERROR_LIMIT = 64 * 1024
KEPT_S = 60.0
SPARE = 2
"""Connections of answers kept for the next: what is left of one takes half a millisecond to set up."""


class UnreachableError(EngineUnavailableError):
    """Nobody listens at the address; nothing was sent."""


class OllamaWire:
    """Opens nothing before the first request. After `close` every call raises `EngineUnavailableError`.

    `retries`: how often `retried` asks again when nobody listens or the engine is too busy.
    """

    def __init__(self, base_url: str, *, retries: int = 0, backoff_s: float = 0.2) -> None:
        self.base_url = base_url.rstrip("/")
        self._pauses_s = tuple(backoff_s * 2**n for n in range(retries))
        self._tls: ssl.SSLContext | None = None
        self._client: httpx.AsyncClient | None = None
        self._spare: list[httpx.AsyncClient] = []
        self._closed = False
        self._asking = OwnedTasks()
        self._closing = OwnedTasks()

    @property
    def shown_url(self) -> str:
        """The address without a user name and password it may carry."""
        scheme, mark, rest = self.base_url.partition("://")
        return f"{scheme}{mark}{rest.rpartition('@')[2]}"

    async def get(self, path: str, shape: type[T], *, timeout_s: float) -> T:
        """For quick requests. Raises `TimeoutError` after `timeout_s`: only the caller knows what that means.

        A caller that is cancelled leaves the request to its end: cancelled in the wrong moment, it would cost a
        connection for ever.
        """
        return _read(*await outcome(self._asking.start(self._ask("GET", path, None, timeout_s))), shape, "")

    async def post(self, path: str, body: bytes, shape: type[T], *, timeout_s: float, model: str = "") -> T:
        """As `get`."""
        return _read(*await outcome(self._asking.start(self._ask("POST", path, body, timeout_s))), shape, model)

    async def tell(self, method: str, path: str, body: bytes, *, timeout_s: float, model: str) -> None:
        """As `post`, for what is answered by a status and nothing else."""
        response, data = await outcome(self._asking.start(self._ask(method, path, body, timeout_s)))
        if response.status_code != 200:
            raise error_from_answer(response.status_code, content_type(response), data, model)

    async def post_long(self, path: str, body: bytes, shape: type[T], *, timeout_s: float, model: str) -> T:
        """As `post`, but cancelling it closes its connection, which tells the engine to stop."""
        call = self.call(path, body)
        try:
            async with asyncio.timeout(timeout_s):
                data = await self.body_of(await self.headers_of(call))
        finally:
            await self.hang_up(call)
        return _read(call.response, data, shape, model)

    def call(self, path: str, body: bytes) -> Call:
        """Not sent yet. Whoever makes one must `hang_up`."""
        if self._closed:
            raise EngineUnavailableError("The connection to Ollama has been closed.")
        return Call(self._spare.pop() if self._spare else self._new_client(), path, body)

    async def headers_of(self, call: Call) -> httpx.Response:
        try:
            return await call.headers()
        except TRANSPORT_ERRORS as error:
            raise self.unavailable(error) from error

    async def body_of(self, response: httpx.Response) -> bytes:
        """All of it, cut where it is longer than it can mean anything."""
        try:
            return await read_all(response, BODY_LIMIT if response.status_code == 200 else ERROR_LIMIT)
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

    async def hang_up(self, call: Call, sending: asyncio.Task[httpx.Response] | None = None) -> None:
        """Closes a call, also while the caller is being cancelled; `sending` is ended first.

        The connection of one that was read out is kept for the next.
        """
        if call.read_out and not self._closed and len(self._spare) < SPARE:
            self._spare.append(call.client)
            return
        await asyncio.shield(self._closing.start(_hang_up(call, sending)))

    async def close(self) -> None:
        self._closed = True
        await self._asking.cancel()
        await self._closing.wait()
        for client in [self._client, *self._spare]:
            if client is not None:
                await client.aclose()
        self._client, self._spare = None, []

    def silent(self) -> EngineSilentError:
        """For a quick request that took too long."""
        return EngineSilentError(f"Ollama at {self.shown_url} does not answer in time.")

    def unavailable(self, error: Exception) -> EngineUnavailableError:
        log.info("Ollama at %s: %s: %s", self.shown_url, type(error).__name__, said_by(error))
        if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | UnicodeError):
            return EngineUnavailableError(f"{self.shown_url} is not a valid address for Ollama.", retry=False)
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            kind = UnreachableError if isinstance(error, httpx.ConnectError) else EngineUnavailableError
            return kind(f"Ollama is not answering at {self.shown_url}.")
        return EngineUnavailableError(f"The connection to Ollama at {self.shown_url} broke.")

    async def _ask(self, method: str, path: str, body: bytes | None, timeout_s: float) -> tuple[httpx.Response, bytes]:
        client = self._shared()
        headers = JSON_HEADERS if body else None
        try:
            async with (
                asyncio.timeout(timeout_s),
                client.stream(method, path, content=body, headers=headers) as response,
            ):
                return response, await self.body_of(response)
        except TRANSPORT_ERRORS as error:
            if isinstance(error, TimeoutError):
                raise
            raise self.unavailable(error) from error

    def _shared(self) -> httpx.AsyncClient:
        if self._closed:
            raise EngineUnavailableError("The connection to Ollama has been closed.")
        if self._client is None:
            self._client = self._new_client()
        return self._client

    def _new_client(self) -> httpx.AsyncClient:
        if self._tls is None:
            self._tls = _tls_for(self.base_url)
        try:
            return httpx.AsyncClient(
                base_url=self.base_url,
                trust_env=False,
                verify=self._tls,
                headers={"Accept-Encoding": "identity"},
                timeout=httpx.Timeout(connect=CONNECT_S, read=None, write=WRITE_S, pool=None),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=KEPT_S),
            )
        except (httpx.InvalidURL, UnicodeError) as error:
            raise self.unavailable(error) from error


def content_type(response: httpx.Response) -> str:
    return str(response.headers.get("content-type", ""))


def _tls_for(url: str) -> ssl.SSLContext:
    """Reading the system's certificates takes tens of milliseconds, and plain http has no use for them."""
    if url.lower().startswith("https:"):
        return ssl.create_default_context()
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def _hang_up(call: Call, sending: asyncio.Task[httpx.Response] | None) -> None:
    if sending is not None and not sending.done():
        sending.cancel()
    await call.close()
    if sending is not None:
        await asyncio.wait({sending})


def _read(response: httpx.Response, data: bytes, shape: type[T], model: str) -> T:
    if response.status_code != 200:
        raise error_from_answer(response.status_code, content_type(response), data, model)
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        log.warning("not what Ollama would say: %s, in %d bytes", error, len(data))
        raise ModelError("What answers at this address does not speak like Ollama.", retry=False) from error
