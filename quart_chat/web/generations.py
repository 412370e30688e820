"""Stop a generation: a form deletes it."""

from __future__ import annotations

from quart import Blueprint, Response

from quart_chat.web.current import services, user_id
from quart_chat.web.responses import done

blueprint = Blueprint("generations", __name__)


@blueprint.post("/generations/<generation_id>/delete")
async def stop(generation_id: str) -> Response:
    generation = await services().chat.stop(generation_id, user_id())
    return done(f"/chat/{generation.session_id}")
