"""Answers that are sent while they come into being: counted, and not cut after a minute."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from quart import Response, request

from quart_chat.edge.layers import AT_END
from quart_chat.web.current import address, person, web


def count_stream() -> None:
    """From here until its answer has been sent this request is one of the person's streams.

    For a request that changes something: it is to be refused before that. Raises RateLimitError while as many streams
    of this person are open as may be.
    """
    counted = web().limits.one_more("stream", person(), address())
    at_end: Any = request.scope["extensions"][AT_END]
    at_end.enter_context(counted)


def streamed(chunks: AsyncIterator[bytes], content_type: str, *, counted: bool = False) -> Response:
    """`chunks` as they come. Raises as `count_stream`, unless that was `counted` before.

    Quart ends other answers after RESPONSE_TIMEOUT; who does not read one of these is dropped by TCP_USER_TIMEOUT.
    """
    if not counted:
        count_stream()
    response = Response(chunks, content_type=content_type)
    response.timeout = None
    return response
