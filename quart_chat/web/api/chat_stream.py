"""`POST /api/chat` and `POST /api/chat/stream`: ask, and have the answer in the same request."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from quart import Blueprint, Response, request

from quart_chat.entities import Message, MessageState, Parameters, Turn
from quart_chat.errors import InvalidInputError, QuartChatError
from quart_chat.services import Services
from quart_chat.web import sse
from quart_chat.web.answers import AnswerTeller, ending_json, failed, waited_for
from quart_chat.web.current import person, services, user_id
from quart_chat.web.errors import STATUS, answer
from quart_chat.web.forms import json_body, session_changes
from quart_chat.web.responses import json_response
from quart_chat.web.shapes import Json, generation_json
from quart_chat.web.streams import count_stream
from quart_chat.web.times import rfc3339

GOES_ON = "No word has come for {0:g} s. The answer goes on without you and will be in this conversation."

blueprint = Blueprint("api_chat_stream", __name__)


class Question(msgspec.Struct, frozen=True):
    """`system_prompt`, `parameters` and `think` are kept for the conversation. The same `client_id` again is the same
    question. `provider`: a check of which one answers, as the model decides."""

    message: str
    model: str | None = None
    conversation_id: str | None = None
    client_id: str | None = None
    provider: str | None = None
    system_prompt: str | None = None
    parameters: Parameters | None = None
    think: bool | UnsetType | None = UNSET
    attachments: tuple[str, ...] | None = None


@blueprint.post("/api/chat")
async def ask_and_wait() -> Response:
    """200 with the whole answer. Whoever leaves before stops nothing."""
    turn = await _begun(await json_body(Question))
    async with services().hub.session(turn.question.session_id, user_id()) as document:
        message = await waited_for(services(), document, turn, person())
    problem = failed(message)
    if problem is not None:
        return answer(STATUS.get(problem.code, 500), problem.code, problem.text, _ids(turn))
    if message.state is not MessageState.GENERATING:
        return json_response(_answer_json(turn, message))
    if services().draining:
        return answer(503, "SERVICE_UNAVAILABLE", sse.RESTARTING, _ids(turn))
    return answer(504, "TIMEOUT", GOES_ON.format(services().settings.ollama_timeout_s), _ids(turn))


@blueprint.post("/api/chat/stream")
async def ask_and_listen() -> Response:
    """The answer as events while it grows. With `client_id` and Last-Event-ID it goes on where it was left."""
    turn = await _begun(await json_body(Question))
    entry = next((e for e in services().queue.entries() if e.generation_id == turn.generation.id), None)
    place = generation_json(turn.generation, entry)
    head = {**_ids(turn), "position": place["position"], "eta_s": place["eta_s"]}
    events = _events(services(), user_id(), person(), turn, head, request.headers.get("Last-Event-ID"))
    return sse.event_stream(events, counted=True)


async def _events(
    parts: Services, user: str, who: str, turn: Turn, head: Json, last_event_id: str | None
) -> AsyncGenerator[bytes, None]:
    """The headers are out, so what goes wrong from here on is told as an event."""
    try:
        async with parts.hub.session(turn.question.session_id, user) as document:
            teller = AnswerTeller(document, turn, head, since=sse.position(document, last_event_id))
            async with aclosing(sse.told(parts, document, teller, person=who)) as events:
                async for event in events:
                    yield event
    except QuartChatError as error:
        yield sse.event({"error": error.message, "code": error.code, "retry": error.retry}, name="error")


async def _begun(question: Question) -> Turn:
    """Committed and queued. Where it is refused nothing is stored, so all that can be known is asked before."""
    changes = _checked(question)
    count_stream()
    if question.conversation_id is None:
        model = question.model or services().library.default_model()
        await _check_model(question, model)
        return await services().openings.send(
            user_id(),
            question.message,
            model=model,
            person=person(),
            client_id=question.client_id,
            changes=changes,
        )
    session = await services().storage.get_session(question.conversation_id, user_id())
    await _check_model(question, question.model or session.model)
    if changes:
        await services().chat.update_session(session.id, user_id(), changes)
    return await services().chat.send_message(
        session.id,
        user_id(),
        question.message,
        person=person(),
        client_id=question.client_id,
        model=question.model,
    )


def _checked(question: Question) -> dict[str, Any]:
    """The changes to the conversation. Raises InvalidInputError in the words of this route."""
    if question.attachments:
        raise InvalidInputError("Attachments are not supported yet.", {"attachments": "not supported"})
    try:
        services().chat.check_content(question.message, question.client_id)
    except InvalidInputError as error:
        fields = {"message" if name == "content" else name: reason for name, reason in error.fields.items()}
        raise InvalidInputError(error.message, fields) from None
    values: dict[str, Any] = {"system_prompt": question.system_prompt, "parameters": question.parameters}
    values = {name: value for name, value in values.items() if value is not None}
    if question.think is not UNSET:
        values["think"] = question.think
    return session_changes(values)


async def _check_model(question: Question, model: str) -> None:
    """Asks the engine itself where it was away when last looked at, or does not know the model.

    Raises ModelNotFoundError, EngineUnavailableError and what else keeps it from answering.
    """
    provider = services().providers.for_model(model)
    if question.provider is not None and question.provider != provider.name:
        raise InvalidInputError(f"{model} is answered by {provider.name}.", {"provider": f"must be {provider.name}"})
    library = services().library
    if library.engine.status == "connected" and library.knows(model):
        return
    if not await _asked_before(question):
        await provider.get_model_info(model)


async def _asked_before(question: Question) -> bool:
    """Its answer is there or on its way, so the engine is not needed for it."""
    if question.client_id is None:
        return False
    storage = services().storage
    session_id = question.conversation_id or await storage.find_session(user_id(), question.client_id)
    return session_id is not None and await storage.find_turn(session_id, user_id(), question.client_id) is not None


def _ids(turn: Turn) -> Json:
    return {
        "conversation_id": turn.question.session_id,
        "message_id": turn.answer.id,
        "generation_id": turn.generation.id,
    }


def _answer_json(turn: Turn, message: Message) -> Json:
    shape: Json = {
        **_ids(turn),
        "response": message.content,
        "timestamp": rfc3339(message.timestamp),
        "model": message.model,
        "provider": services().providers.for_model(message.model).name,
        **ending_json(message),
    }
    if message.thinking:
        shape["thinking"] = message.thinking
    return shape
