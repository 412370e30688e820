"""Puts the layers of the edge around an application."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, cast

from quart_chat.edge.addresses import Networks
from quart_chat.edge.bodies import BodyLimits
from quart_chat.edge.headers import SecurityHeaders
from quart_chat.edge.inbound import BoundedInbound
from quart_chat.edge.pace import Pace, Paced
from quart_chat.edge.proxy import BehindProxy

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope

AT_END = "quart_chat.at_end"
"""In `scope["extensions"]`: an ExitStack that is closed when the answer has been sent, or the client has left."""


class Ending:
    """A web framework forgets a request before it sends what the request streams."""

    def __init__(self, app: ASGIFramework) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        with ExitStack() as stack:
            cast("dict[str, Any]", scope["extensions"])[AT_END] = stack
            await self._app(scope, receive, send)


def guarded(
    app: ASGIFramework, *, proxies: str, body_limit: Callable[[str, str], int], pace: Pace | None = None
) -> ASGIFramework:
    """`app` behind all of them; who is asking is known first, as the others count by address.

    `proxies`: networks with commas. `body_limit(method, path)`: bytes. Without a `pace` nobody has to wait.
    """
    limited = BodyLimits(BoundedInbound(Ending(app)), body_limit)
    paced = Paced(limited, pace) if pace is not None else limited
    return BehindProxy(SecurityHeaders(paced), Networks(proxies))
