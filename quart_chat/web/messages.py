"""Forms of a message: send one, have an answer again."""

from __future__ import annotations

from quart import Blueprint, Response, request

from quart_chat.errors import InvalidInputError, NotFoundError, QuartChatError
from quart_chat.web.current import live_html, person, services, user_id
from quart_chat.web.errors import status_of
from quart_chat.web.responses import done
from quart_chat.web.sessions import chat_page

blueprint = Blueprint("messages", __name__)


@blueprint.post("/chat/<session_id>/message")
async def send(session_id: str) -> Response:
    form = await request.form
    content = form.get("content", "").replace("\r\n", "\n")
    try:
        await services().chat.send_message(
            session_id, user_id(), content, person=person(), client_id=form.get("client_id") or None
        )
    except NotFoundError:
        raise
    except QuartChatError as error:
        if live_html():
            raise
        return await _unsent(session_id, content, error)
    return done(f"/chat/{session_id}")


@blueprint.post("/messages/<message_id>/generations")
async def answer_again(message_id: str) -> Response:
    mode = (await request.form).get("mode", "retry")
    if mode not in {"retry", "continue"}:
        raise InvalidInputError("An answer can be retried or continued.", {"mode": "unknown"})
    turn = await services().chat.answer_again(message_id, user_id(), person=person(), continues=mode == "continue")
    return done(f"/chat/{turn.answer.session_id}")


async def _unsent(session_id: str, content: str, error: QuartChatError) -> Response:
    """Without a script the page comes back with the reason and with what was written."""
    async with services().hub.session(session_id, user_id()) as document:
        await document.render()
        return chat_page(document, flash=error.message, draft=content, status=status_of(error))
