"""Work that is done whole although whoever asked for it leaves in the middle."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
Work = Coroutine[Any, Any, T]

logger = logging.getLogger(__name__)


async def whole(work: Work[T]) -> T:
    """Runs `work` to its end and gives its result. Cancelled meanwhile: raises CancelledError, but after that end."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return task.result()
    if (failure := task.exception()) is not None:
        logger.info("nobody waits any more for what failed: %r", failure)
    raise cancelled


def done_whole(method: Callable[P, Work[T]]) -> Callable[P, Work[T]]:
    """A coroutine function that is never cut between what it commits and what it tells."""

    @wraps(method)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return await whole(method(*args, **kwargs))

    return run
