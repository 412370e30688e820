"""Pages and forms of a session: open, new, change, draft, clear, delete."""

from __future__ import annotations

from quart import Blueprint, Response, request

from quart_chat.entities import ChatSession, new_id
from quart_chat.live.session import PAGE_SIZE, SessionDocument
from quart_chat.web.current import (
    PERSON_COOKIE,
    Web,
    live_html,
    new_person,
    person,
    services,
    theme,
    user_id,
    web,
)
from quart_chat.web.forms import settings_form, whole_number
from quart_chat.web.responses import done, go_to, page_response

A_YEAR_S = 365 * 86_400

blueprint = Blueprint("sessions", __name__)


@blueprint.get("/")
async def newest() -> Response:
    """The chat that was used last; the first visit finds an empty one."""
    sessions, _ = await services().storage.list_sessions(user_id(), limit=1)
    session = sessions[0] if sessions else await _new_session()
    return go_to(f"/chat/{session.id}")


@blueprint.post("/chat")
async def create() -> Response:
    """With the field `model` a chat with that one."""
    model = (await request.form).get("model", "").strip()
    session = await _new_session(model)
    return go_to(f"/chat/{session.id}")


@blueprint.get("/chat/<session_id>")
async def show(session_id: str) -> Response:
    before = whole_number("before", 0, 0, 2**31)
    async with services().hub.session(session_id, user_id()) as document:
        if before:
            return await _earlier(document, before)
        await document.render()
        return chat_page(document)


@blueprint.post("/chat/<session_id>")
async def update(session_id: str) -> Response:
    before = await services().storage.get_session(session_id, user_id())
    changes = settings_form((await request.form).to_dict(), before.parameters)
    session = await services().chat.update_session(session_id, user_id(), changes)
    if session.model and session.model != before.model:
        _offer_load(session.model)
    return done(f"/chat/{session.id}")


@blueprint.post("/chat/<session_id>/draft")
async def draft(session_id: str) -> Response:
    form = await request.form
    client_id = form.get("client_id") or None
    await services().chat.save_draft(session_id, user_id(), form.get("content", ""), client_id=client_id)
    return done(f"/chat/{session_id}")


@blueprint.post("/chat/<session_id>/clear")
async def clear(session_id: str) -> Response:
    await services().chat.clear(session_id, user_id())
    return done(f"/chat/{session_id}")


@blueprint.post("/chat/<session_id>/delete")
async def delete(session_id: str) -> Response:
    await services().chat.delete_session(session_id, user_id())
    return done("/")


def chat_page(
    document: SessionDocument, *, flash: str | None = None, draft: str | None = None, status: int = 200
) -> Response:
    """The whole page, made in one step of the loop, so that it is exactly what its revisions say."""
    parts = web()
    session = document.session
    board = parts.services.hub.board(user_id())
    html = parts.templates.render(
        "pages/chat.html",
        session=session,
        draft=session.draft if draft is None else draft,
        client_id=new_id(),
        max_chars=parts.services.settings.max_message_chars,
        live={"epoch": document.revisions.epoch, "rev": document.rev, "board_rev": board.rev},
        flash=flash,
        theme=theme(),
        header=parts.views.header_context(document),
        controls=parts.views.controls_context(document),
        board={**parts.views.board_context(board, session.id), "loads": parts.views.loads(document)},
        **parts.views.sessions_context(board, session.id),
        **parts.views.log_context(document),
    )
    return _known(page_response(html, status))


async def _earlier(document: SessionDocument, before: int) -> Response:
    """The page of messages before a number: more of the log for htmx, a page that only reads without it."""
    parts: Web = web()
    messages = await parts.services.storage.get_messages(document.session.id, user_id(), before=before, limit=PAGE_SIZE)
    context = await parts.views.earlier_context(document.session, messages)
    name = "messages/_earlier.html" if live_html() else "pages/earlier.html"
    return _known(page_response(parts.templates.render(name, session=document.session, theme=theme(), **context)))


def _offer_load(model: str) -> None:
    """Whoever chooses a model is about to ask it something."""
    contexts = services().contexts
    size, stays = contexts.size(model), contexts.keep_alive(model)
    services().library.offer_load(model, by=user_id(), person=person(), num_ctx=size, keep_alive=stays)


async def _new_session(model: str = "") -> ChatSession:
    return await services().chat.create_session(user_id(), model=model or services().library.default_model())


def _known(response: Response) -> Response:
    """Give a browser that has none its name in the queue."""
    if person().startswith("at "):
        response.set_cookie(
            PERSON_COOKIE,
            new_person(),
            max_age=A_YEAR_S,
            httponly=True,
            samesite="Lax",
            secure=request.is_secure,
        )
    return response
