"""Requests that wait for jobs, which go on without them."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from quart_chat.errors import EngineUnavailableError
from quart_chat.library.work import Work
from quart_chat.web.current import person, services, user_id
from quart_chat.web.sse import RESTARTING, looking_on, woken

STILL_UNDER_WAY = "This takes longer than a request may wait. It goes on in the background: see /api/jobs."
LOOK_AGAIN_S = 1.0
"""A job that begins and ends between two looks changes nothing on the board."""


async def ended(works: Sequence[Work], within_s: float = math.inf) -> bool:
    """True when all have ended, well or not; False after `within_s`.

    Raises EngineUnavailableError when the server restarts, which would otherwise wait for this.
    """
    parts = services()
    until = time.monotonic() + within_s
    with looking_on(parts, parts.hub.board(user_id()), person()) as viewer:
        while True:
            viewer.wake.clear()
            if all(work.job.ended for work in works):
                return True
            if viewer.close_code is not None:
                raise EngineUnavailableError(RESTARTING)
            left = until - time.monotonic()
            if left <= 0:
                return False
            await woken(viewer, min(left, LOOK_AGAIN_S))
