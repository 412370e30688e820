"""Runs Hypercorn in this process: one start, one set of limits, and a stop that keeps its deadline.

Stopping: no new connections -> every socket is told 1012 -> whoever stays is dropped -> services close.
Hypercorn alone leaves clients with 1011, and on Python >= 3.12 waits for ever while one socket is open.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from quart_chat import __version__
from quart_chat.claims import claim_data, network_address, open_listener
from quart_chat.config import Settings, without_secrets
from quart_chat.edge.addresses import Networks
from quart_chat.edge.connections import Connections
from quart_chat.edge.pace import Pace
from quart_chat.errors import QuartChatError
from quart_chat.left_out import leave_out
from quart_chat.logs import configure_logging

if TYPE_CHECKING:
    from hypercorn.config import Config
    from hypercorn.typing import ASGIFramework

WEBSOCKET_MESSAGE_BYTES = 64 * 1024
WEBSOCKET_PING_S = 20.0
HEAD_S = 5
"""For the head of a request, from the connection or the answer before."""
INBOUND_EVENTS = 2
"""Of one connection that may wait for the application; each is up to 64 KiB."""
OTHER_DESCRIPTORS = 256
ENGINE_SUMMARY_S = 1.5
DRAIN_S = 1.6
LINGER_S = 0.3
DROP_S = 0.3
DEADLINE_S = 2.8
"""From the first signal to the end of the process, whatever hangs."""

THREAD_TURN_S = 0.0005
"""A database thread in the middle of Python code gives way to the loop after this; the usual 5 ms are what a question
would wait several times on its way to the engine."""

logger = logging.getLogger(__name__)


class Servable(Protocol):
    """What the server needs of the services."""

    async def start(self) -> None: ...

    async def engine_summary(self) -> str:
        """Which engine was found, in one line."""
        ...

    async def drain(self) -> None:
        """Tells every socket to close with 1012; returns when they did, or after its own deadline."""
        ...

    async def close(self) -> None:
        """Idempotent."""
        ...


Build = Callable[[Settings], "tuple[Servable, ASGIFramework]"]


def build_product(settings: Settings) -> tuple[Servable, ASGIFramework]:
    from quart_chat.app import create_app
    from quart_chat.services import build_services

    services = build_services(settings)
    return services, create_app(services)


def serve(settings: Settings, build: Build = build_product) -> int:
    """Serves until SIGTERM or SIGINT; the process's exit code: 0 after a stop, 1 after a sentence on stderr.

    Claims the data and the port before anything is opened, so a second start changes nothing.
    """
    try:
        configure_logging(settings)
        leave_out()
        with claim_data(settings), open_listener(settings.api_host, settings.api_port) as listener:
            _allow_descriptors(settings.connections_max)
            services, app = build(settings)
            asyncio.run(run(settings, services, app, listener))
    except QuartChatError as error:
        print(f"quart-chat: {error.message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


async def run(settings: Settings, services: Servable, app: ASGIFramework, listener: socket.socket) -> None:
    """Serves `app` on `listener` until a signal, then stops within DEADLINE_S. Takes the listener over.

    Whatever happens, `services.close()` has returned when this does. Raises what `services.start()` raises.
    """
    stop = asyncio.Event()
    _stop_on_signals(stop)
    announcing: asyncio.Task[None] | None = None
    try:
        await services.start()
        gc.freeze()
        gc.enable()
        sys.setswitchinterval(THREAD_TURN_S)
        _announce(settings, listener)
        announcing = asyncio.create_task(_announce_engine(settings, services))
        await _serve_until(stop, app, services, listener, _connections(settings))
    finally:
        if announcing is not None:
            announcing.cancel()
            await asyncio.wait({announcing})
        await services.close()


async def _serve_until(
    stop: asyncio.Event,
    app: ASGIFramework,
    services: Servable,
    listener: socket.socket,
    connections: Connections | None = None,
) -> None:
    from hypercorn.asyncio import serve as serve_with_hypercorn

    from quart_chat.hypercorn_patches import apply_patches

    apply_patches()
    if connections is None:
        connections = Connections()
    config = _hypercorn_config(listener.detach(), connections)
    serving = asyncio.create_task(serve_with_hypercorn(app, config, shutdown_trigger=stop.wait))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            await _leave(serving, services, connections)
    finally:
        stopping.cancel()
        serving.cancel()
    if serving.done() and not serving.cancelled():
        serving.result()


async def _leave(serving: asyncio.Task[None], services: Servable, connections: Connections) -> None:
    """Hypercorn has stopped listening by itself; it ends when its last connection does."""
    try:
        async with asyncio.timeout(DRAIN_S):
            await services.drain()
    except TimeoutError:
        logger.warning("Some open sockets did not take the goodbye in time; they are dropped")
    except Exception:
        logger.exception("Saying goodbye to the open sockets failed; they are dropped")
    await asyncio.wait({serving}, timeout=LINGER_S)
    if dropped := connections.abort():
        logger.info("Dropped %d connections that did not leave", dropped)
    await asyncio.wait({serving}, timeout=DROP_S)


def _connections(settings: Settings) -> Connections:
    return Connections(
        settings.connections_max,
        settings.connections_max_per_address,
        exempt=Networks(settings.behind_proxy),
        pace=Pace() if settings.rate_limit_enabled else None,
    )


def _hypercorn_config(listener_fd: int, connections: Connections) -> Config:
    from quart_chat.hypercorn_patches import EdgeConfig

    config = EdgeConfig(connections)
    config.bind = [f"fd://{listener_fd}"]
    config.alpn_protocols = ["http/1.1"]
    config.include_server_header = False
    config.keep_alive_timeout = HEAD_S
    config.max_app_queue_size = INBOUND_EVENTS
    config.websocket_ping_interval = WEBSOCKET_PING_S
    config.websocket_max_message_size = WEBSOCKET_MESSAGE_BYTES
    config.errorlog = logging.getLogger("hypercorn.error")
    # Longer than our own deadline: Hypercorn's way of giving up closes sockets with 1011.
    config.graceful_timeout = 2 * DEADLINE_S
    return config


def _allow_descriptors(connections: int) -> None:
    """As many open files as connections need, if the system lets us: beyond its limit it accepts nobody at all."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OTHER_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def _stop_on_signals(stop: asyncio.Event) -> None:
    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()
        deadline = threading.Timer(DEADLINE_S, _give_up)
        deadline.daemon = True
        deadline.start()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)


def _give_up() -> None:
    """Nothing that was acknowledged is lost: it was committed before."""
    print(f"quart-chat: something did not stop within {DEADLINE_S:g} s; leaving it.", file=sys.stderr)
    os._exit(1)


def _announce(settings: Settings, listener: socket.socket) -> None:
    address, port = listener.getsockname()[:2]
    everywhere = address in ("0.0.0.0", "::")
    host = "localhost" if everywhere else f"[{address}]" if ":" in address else address
    _say(f"quart-chat {__version__} listens at http://{host}:{port}{settings.base_path}/")
    if everywhere and (outside := network_address()):
        _say(f"From other machines: http://{outside}:{port}{settings.base_path}/ (without sign-in: anyone)")
    _say(f"Data: {settings.data_dir}" if settings.keeps_history else "Data: in memory, gone when it stops")


async def _announce_engine(settings: Settings, services: Servable) -> None:
    try:
        async with asyncio.timeout(ENGINE_SUMMARY_S):
            _say(await services.engine_summary())
    except TimeoutError:
        url = without_secrets(settings.ollama_base_url)
        _say(f"Ollama has not answered yet at {url}; it is used as soon as it does.")


def _say(line: str) -> None:
    print(line, flush=True)
