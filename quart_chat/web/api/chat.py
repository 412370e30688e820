"""`/api/chat/…`: send a message, read a session's messages, clear them."""

from __future__ import annotations

import msgspec
from quart import Blueprint, Response

from quart_chat.entities import Parameters, Turn
from quart_chat.web.current import person, services, user_id
from quart_chat.web.forms import json_body, needed, session_changes, whole_number
from quart_chat.web.responses import json_response
from quart_chat.web.shapes import generation_json, message_json

blueprint = Blueprint("api_chat", __name__)


class NewMessage(msgspec.Struct, frozen=True):
    content: str
    session_id: str | None = None
    client_id: str | None = None
    model: str | None = None
    parameters: Parameters | None = None


@blueprint.post("/api/chat/message")
async def send() -> Response:
    """202 when it is committed and queued; the same client_id again gives 200 and the same answer."""
    new = await json_body(NewMessage)
    changes = session_changes({"parameters": new.parameters}) if new.parameters is not None else {}
    if new.session_id is None:
        turn = await services().openings.send(
            user_id(),
            new.content,
            model=new.model or services().library.default_model(),
            person=person(),
            client_id=new.client_id,
            changes=changes,
        )
    else:
        turn = await _send(new, new.session_id)
    entries = services().queue.entries()
    entry = next((entry for entry in entries if entry.generation_id == turn.generation.id), None)
    shape = {
        "session_id": turn.question.session_id,
        "message": message_json(turn.question),
        "generation": generation_json(turn.generation, entry),
    }
    return json_response(shape, 202 if turn.created else 200)


async def _send(new: NewMessage, session_id: str) -> Turn:
    chat = services().chat
    if new.parameters is not None:
        await chat.update_session(session_id, user_id(), session_changes({"parameters": new.parameters}))
    return await chat.send_message(
        session_id, user_id(), new.content, person=person(), client_id=new.client_id, model=new.model
    )


@blueprint.get("/api/chat/history")
async def history() -> Response:
    session_id = needed("session_id")
    before = whole_number("before", 0, 0, 2**31) or None
    limit = whole_number("limit", 40, 1, 100)
    messages = await services().chat.get_history(session_id, user_id(), before=before, limit=limit)
    return json_response({"session_id": session_id, "messages": [message_json(m) for m in messages]})


@blueprint.delete("/api/chat/clear")
async def clear() -> Response:
    deleted = await services().chat.clear(needed("session_id"), user_id())
    return json_response({"message": "Conversation cleared", "deleted": deleted})
