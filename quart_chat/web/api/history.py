"""`/api/history`: conversations listed, read, changed, deleted."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace
from quart import Blueprint, Response, request

from quart_chat.entities import Parameters
from quart_chat.web.current import services, user_id
from quart_chat.web.forms import json_body, limit_and_offset, session_changes
from quart_chat.web.responses import json_response
from quart_chat.web.shapes import conversation_json, whole_conversation_json

MAX_MESSAGES = 10_000

blueprint = Blueprint("api_history", __name__)


class Changes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    system_prompt: str | UnsetType = UNSET
    parameters: Parameters | UnsetType = UNSET
    think: bool | UnsetType | None = UNSET


@blueprint.get("/api/history")
async def conversations() -> Response:
    limit, offset = limit_and_offset()
    query = request.args.get("q", "").strip() or None
    sessions, total = await services().storage.list_sessions(user_id(), limit=limit, offset=offset, query=query)
    shapes = [conversation_json(session) for session in sessions]
    return json_response({"conversations": shapes, "total": total, "limit": limit, "offset": offset})


@blueprint.get("/api/history/<session_id>")
async def conversation(session_id: str) -> Response:
    return await _whole(session_id)


@blueprint.put("/api/history/<session_id>")
async def change(session_id: str) -> Response:
    given = await json_body(Changes)
    values = {name: value for name in Changes.__struct_fields__ if (value := getattr(given, name)) is not UNSET}
    await services().chat.update_session(session_id, user_id(), session_changes(values))
    return await _whole(session_id)


@blueprint.delete("/api/history/<session_id>")
async def delete(session_id: str) -> Response:
    await services().chat.delete_session(session_id, user_id())
    return json_response({"message": "Conversation deleted successfully"})


async def _whole(session_id: str) -> Response:
    session = await services().storage.get_session(session_id, user_id())
    messages = await services().chat.get_history(session_id, user_id(), limit=MAX_MESSAGES)
    parameters = replace(session.parameters, num_ctx=services().contexts.size(session.model))
    return json_response(whole_conversation_json(replace(session, parameters=parameters), messages))
