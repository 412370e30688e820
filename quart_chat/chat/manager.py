"""`ChatManager`: every rule of the conversation. Commit first, then act, then tell the live document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quart_chat.chat.contexts import Contexts
from quart_chat.chat.estimates import Estimates
from quart_chat.chat.queue import GenerationQueue, Reservation
from quart_chat.chat.shelf import Shelf
from quart_chat.chat.titles import title_from
from quart_chat.chat.turns import Ticket
from quart_chat.chat.whole import done_whole
from quart_chat.config import Settings
from quart_chat.entities import (
    ChatSession,
    Generation,
    GenerationState,
    Message,
    Parameters,
    Problem,
    Turn,
    new_id,
    now_ms,
)
from quart_chat.errors import InvalidInputError, ModelError, QueueFullError, RateLimitError
from quart_chat.live.hub import Hub
from quart_chat.live.session import SessionDocument
from quart_chat.persistence.storage import StorageManager
from quart_chat.providers.ollama_models import own_name
from quart_chat.providers.registry import Providers

MAX_CLIENT_ID = 64


class ChatManager:
    """Methods return when the database has it; what tabs see changes in the same step. A caller that is cancelled
    has done it whole or not at all.

    `user_id` owns the session, `person` is whose turn in the queue it takes (with sign-in off one owner, several
    people). All raise NotFoundError for what is not there or somebody else's.
    """

    def __init__(
        self,
        storage: StorageManager,
        hub: Hub,
        queue: GenerationQueue,
        providers: Providers,
        estimates: Estimates,
        contexts: Contexts,
        shelf: Shelf,
        settings: Settings,
    ) -> None:
        self._storage = storage
        self._hub = hub
        self._queue = queue
        self._providers = providers
        self._estimates = estimates
        self._contexts = contexts
        self._shelf = shelf
        self._settings = settings

    async def create_session(self, user_id: str, *, model: str, fresh: bool = False) -> ChatSession:
        """A new session, or, unless it has to be `fresh`, one that is as good as new and that nobody looks at."""
        for session in [] if fresh else await self._storage.find_empty_sessions(user_id):
            document = self._hub.loaded(session.id)
            if _is_untouched(session) and (document is None or document.idle):
                if not model or session.model == model:
                    return session
                return await self.update_session(session.id, user_id, {"model": model})
        now = now_ms()
        session = await self._storage.create_session(
            ChatSession(id=new_id(), user_id=user_id, model=model, created_at=now, updated_at=now)
        )
        await self._shelf.refresh(user_id)
        return session

    @done_whole
    async def send_message(
        self,
        session_id: str,
        user_id: str,
        content: str,
        *,
        person: str,
        client_id: str | None = None,
        model: str | None = None,
        who: str = "",
    ) -> Turn:
        """The question and its waiting answer are committed when this returns.

        The same `client_id` again is the same send. Raises ConflictError while another answer of this session waits
        or grows, QueueFullError or RateLimitError when there is no room, InvalidInputError for an unusable text.
        """
        self.check_content(content, client_id)
        async with self._hub.session(session_id, user_id) as document:
            model = self._usable_model(model or document.session.model)
            await self._estimates.prepare(model)
            try:
                with self._queue.reserve(person, model) as place:
                    turn = await self._storage.begin_turn(
                        session_id,
                        user_id,
                        content=content,
                        client_id=client_id or new_id(),
                        model=model,
                        person=person,
                        title=title_from(content),
                        starts=place.starts,
                    )
                    if turn.created:
                        document.put(turn.question)
                        self._begin(document, turn, place, who)
            except (QueueFullError, RateLimitError):
                seen = await self._storage.find_turn(session_id, user_id, client_id) if client_id else None
                if seen is None:
                    raise
                turn = seen
        return turn

    @done_whole
    async def answer_again(
        self, message_id: str, user_id: str, *, person: str, continues: bool = False, who: str = ""
    ) -> Turn:
        """Retry the last answer, or let it continue where it stopped. Raises ConflictError for any other answer."""
        message = await self._storage.get_message(message_id, user_id)
        async with self._hub.session(message.session_id, user_id) as document:
            model = self._usable_model(document.session.model or message.model)
            await self._estimates.prepare(model)
            begin = self._storage.begin_continue if continues else self._storage.begin_retry
            with self._queue.reserve(person, model) as place:
                turn = await begin(message_id, user_id, model=model, person=person, starts=place.starts)
                self._begin(document, turn, place, who)
        return turn

    @done_whole
    async def stop(self, generation_id: str, user_id: str) -> Generation:
        """Stop one that waits or runs; what it has written stays. Idempotent."""
        generation = await self._storage.get_generation(generation_id, user_id)
        async with self._hub.session(generation.session_id, user_id) as document:
            await self._queue.stop(generation_id)
            # Changes nothing where it ran far enough to store its own end.
            message = await self._storage.finish_generation(generation_id, GenerationState.STOPPED)
            if message is not None:
                document.put(message)
        return await self._storage.get_generation(generation_id, user_id)

    async def get_history(
        self, session_id: str, user_id: str, *, before: int | None = None, limit: int = 40
    ) -> list[Message]:
        """Oldest first; an answer that grows has the text that it has now."""
        await self._storage.get_session(session_id, user_id)
        messages = await self._storage.get_messages(session_id, user_id, before=before, limit=limit)
        document = self._hub.loaded(session_id)
        if document is None:
            return messages
        live = document.messages
        return [live[m.id].whole if m.id in live and live[m.id].growing else m for m in messages]

    @done_whole
    async def clear(self, session_id: str, user_id: str) -> int:
        """Delete every message; a running answer is stopped first. Returns how many there were."""
        async with self._hub.session(session_id, user_id) as document:
            await self._stop_running(document, user_id)
            deleted = await self._storage.clear_session(session_id, user_id)
            document.clear()
        await self._shelf.refresh(user_id)
        return deleted

    @done_whole
    async def delete_session(self, session_id: str, user_id: str) -> None:
        async with self._hub.session(session_id, user_id) as document:
            await self._stop_running(document, user_id)
            await self._storage.delete_session(session_id, user_id)
            document.mark_deleted()
            self._hub.forget(session_id)
        await self._shelf.refresh(user_id)

    @done_whole
    async def update_session(self, session_id: str, user_id: str, changes: Mapping[str, Any]) -> ChatSession:
        """Any of title, model, system_prompt, parameters, think; and num_ctx, which is kept for the model."""
        async with self._hub.session(session_id, user_id) as document:
            if "model" in changes:
                changes = {**changes, "model": self._usable_model(changes["model"])}
            own = {name: value for name, value in changes.items() if name != "num_ctx"}
            session = await self._storage.update_session(session_id, user_id, **own)
            if "num_ctx" in changes:
                await self._contexts.set(session.model, changes["num_ctx"])
            document.set_session(session)
        await self._shelf.refresh(user_id)
        return session

    async def save_draft(self, session_id: str, user_id: str, draft: str, *, client_id: str | None = None) -> None:
        """A draft that comes after its own message, sent as `client_id`, is dropped."""
        async with self._hub.session(session_id, user_id) as document:
            document.session = await self._storage.save_draft(
                session_id, user_id, draft[: self._settings.max_message_chars], client_id
            )

    async def resume(self, generation: Generation) -> None:
        """Put a generation that waited when the server stopped back into the queue."""
        await self._estimates.prepare(generation.model)
        try:
            self._providers.for_model(generation.model)
        except ModelError as error:
            problem = Problem(code=error.code, text=error.message, retry=error.retry)
            await self._storage.finish_generation(generation.id, GenerationState.FAILED, problem=problem)
            return
        async with self._hub.session(generation.session_id, generation.user_id) as document:
            live = document.messages.get(generation.message_id)
            if live is not None:
                live.generation_id = generation.id
            self._queue.put(Ticket(generation))

    def _begin(self, document: SessionDocument, turn: Turn, place: Reservation, who: str) -> None:
        document.put(turn.answer, generation_id=turn.generation.id)
        place.put(Ticket(turn.generation, who=who))
        document.set_session(turn.session)
        self._shelf.lift(turn.session)

    async def _stop_running(self, document: SessionDocument, user_id: str) -> None:
        for generation in await self._storage.active_generations():
            if generation.session_id == document.session.id:
                await self.stop(generation.id, user_id)

    def _usable_model(self, model: str) -> str:
        if not model:
            raise InvalidInputError("Choose a model first.", {"model": "missing"})
        self._providers.for_model(model)
        return own_name(model, self._hub.shared("model"))

    def check_content(self, content: str, client_id: str | None) -> None:
        limit = self._settings.max_message_chars
        if not content.strip():
            raise InvalidInputError("Write something first.", {"content": "empty"})
        if len(content) > limit:
            raise InvalidInputError(
                f"This message has {len(content):,} characters; {limit:,} is the most.",
                {"content": "too long"},
            )
        if client_id is not None and not 0 < len(client_id) <= MAX_CLIENT_ID:
            raise InvalidInputError("The client id is empty or too long.", {"client_id": "1 to 64 characters"})


def _is_untouched(session: ChatSession) -> bool:
    made = (session.title, session.system_prompt, session.draft, session.parameters, session.think)
    return made == ("", "", "", Parameters(), None)
