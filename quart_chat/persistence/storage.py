"""`StorageManager`: entities in and out, one transaction per call. No row leaves this package."""

from __future__ import annotations

from typing import Any

from quart_chat.entities import (
    OWNER_ID,
    ChatSession,
    Generation,
    GenerationState,
    Message,
    Problem,
    SearchHit,
    Statistics,
    Turn,
    Usage,
)
from quart_chat.persistence import generations, messages, search, sessions, settings, turns
from quart_chat.persistence.database import Database
from quart_chat.persistence.model_storage import ModelStorage


class StorageManager(ModelStorage):
    """Promises of every method: what returned is on the disk; NotFoundError for what does not exist or is
    somebody else's; StorageError when the database cannot; a cancelled call has happened whole or not at all.

    It does not own `database`: whoever opened that closes it.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.times = database.times

    async def probe(self) -> None:
        """Changes nothing. StorageError: it cannot be read, or the last write failed and another one does too."""
        await self._database.read(settings.get, OWNER_ID)
        await self._database.probe()

    # Sessions

    async def create_session(self, session: ChatSession) -> ChatSession:
        return await self._database.write(sessions.create, session)

    async def get_session(self, session_id: str, user_id: str) -> ChatSession:
        """With `message_count`, as every session that comes from here."""
        return await self._database.read(sessions.get, session_id, user_id)

    async def list_sessions(
        self, user_id: str, *, limit: int = 50, offset: int = 0, query: str | None = None
    ) -> tuple[list[ChatSession], int]:
        """A page, last spoken in first, and how many there are in all. `query`: words that the title or one
        message has, the last may be a beginning of one; without a letter or digit it finds nothing."""
        return await self._database.read(sessions.page, user_id, limit, offset, query)

    async def update_session(self, session_id: str, user_id: str, **changes: Any) -> ChatSession:
        """Sets title, model, system_prompt, parameters or think; other names are a TypeError.

        The session keeps its place in the list: only messages move it.
        """
        return await self._database.write(sessions.update, session_id, user_id, changes)

    async def delete_session(self, session_id: str, user_id: str) -> None:
        """With everything in it. A generation that still runs finds nothing to finish."""
        await self._database.write(sessions.delete, session_id, user_id)

    async def clear_session(self, session_id: str, user_id: str) -> int:
        """Deletes its messages and generations: how many messages. Their numbers are not used again."""
        return await self._database.write(sessions.clear, session_id, user_id)

    async def find_empty_sessions(self, user_id: str) -> list[ChatSession]:
        """Those without a message, last changed first."""
        return await self._database.read(sessions.empty, user_id)

    async def delete_empty_sessions(self, older_than_ms: int) -> list[str]:
        """Everybody's sessions without message and draft that are at least `older_than_ms` old: their ids."""
        return await self._database.write(sessions.delete_empty, older_than_ms)

    # Turns

    async def begin_turn(
        self,
        session_id: str,
        user_id: str,
        *,
        content: str,
        client_id: str | None,
        model: str,
        person: str,
        author: str = "",
        title: str = "",
        starts: bool = False,
    ) -> Turn:
        """Question, empty answer, generation; the session gets `model`, and `title` if it has none.

        The generation is queued, or running at once where its engine is free for it (`starts`).
        Its draft is cleared and it moves to the top of the list. The same `client_id` in this session again:
        the turn as it stands now, `created=False`, nothing new.
        ConflictError: an answer is queued or being written in this session.
        """
        return await self._database.write(
            turns.begin,
            session_id,
            user_id,
            content=content,
            client_id=client_id,
            model=model,
            person=person,
            author=author,
            title=title,
            starts=starts,
        )

    async def find_turn(self, session_id: str, user_id: str, client_id: str) -> Turn | None:
        """The turn that `client_id` has begun in this session, as it stands after every `begin_turn` called before."""
        return await self._database.write(turns.seen, session_id, user_id, client_id)

    async def find_session(self, user_id: str, client_id: str) -> str | None:
        """The session in which this user has sent `client_id`, as it stands after every `begin_turn` before."""
        return await self._database.write(turns.session_of, user_id, client_id)

    async def save_draft(self, session_id: str, user_id: str, draft: str, client_id: str | None = None) -> ChatSession:
        """What is being written here and would be sent as `client_id`; nothing changes where that was sent already."""
        return await self._database.write(turns.save_draft, session_id, user_id, draft, client_id)

    async def begin_retry(
        self, message_id: str, user_id: str, *, model: str, person: str, starts: bool = False
    ) -> Turn:
        """Another answer to the same question; an answer without any text is written anew in its place.
        `starts` as for `begin_turn`.

        ConflictError: not the last answer of its session, or one is queued or being written.
        """
        return await self._database.write(turns.retry, message_id, user_id, model=model, person=person, starts=starts)

    async def begin_continue(
        self, message_id: str, user_id: str, *, model: str, person: str, starts: bool = False
    ) -> Turn:
        """The same answer goes on after its text. ConflictError as for `begin_retry`."""
        return await self._database.write(turns.resume, message_id, user_id, model=model, person=person, starts=starts)

    # Messages

    async def get_message(self, message_id: str, user_id: str) -> Message:
        return await self._database.read(messages.owned, message_id, user_id)

    async def get_messages(
        self, session_id: str, user_id: str, *, before: int | None = None, limit: int = 40
    ) -> list[Message]:
        """The last `limit` messages with a number below `before`, oldest first."""
        return await self._database.read(messages.page, session_id, user_id, before, limit)

    async def count_messages_before(self, session_id: str, user_id: str, number: int) -> int:
        return await self._database.read(messages.count_before, session_id, user_id, number)

    async def checkpoint(self, message_id: str, content: str, thinking: str) -> bool:
        """Keeps the whole text so far. False: its generation does not run (any more), nothing changed."""
        return await self._database.write(messages.checkpoint, message_id, content, thinking)

    # Generations

    async def get_generation(self, generation_id: str, user_id: str) -> Generation:
        return await self._database.read(generations.owned, generation_id, user_id)

    async def active_generations(self) -> list[Generation]:
        """Everybody's queued and running ones, oldest first."""
        return await self._database.read(generations.active)

    async def start_generation(self, generation_id: str, started_at: int, *, digest: str = "") -> bool:
        """queued → running. False: it was not queued (any more). `digest`: of the model's file, if known."""
        return await self._database.write(generations.start, generation_id, started_at, digest)

    async def finish_generation(
        self,
        generation_id: str,
        state: GenerationState,
        *,
        content: str | None = None,
        thinking: str | None = None,
        statistics: Statistics | None = None,
        usage: Usage | None = None,
        problem: Problem | None = None,
        digest: str = "",
        num_ctx: int = 0,
    ) -> Message | None:
        """queued or running → `state`, for generation and answer. None texts keep what is stored.
        `digest` of the model's file, "" keeps what is stored; `num_ctx` 0: the engine's own.

        None: it was over already, or is gone; nothing changed. ValueError: `state` is no end.
        """
        return await self._database.write(
            generations.finish,
            generation_id,
            state,
            content=content,
            thinking=thinking,
            statistics=statistics,
            usage=usage,
            problem=problem,
            digest=digest,
            num_ctx=num_ctx,
        )

    async def recover(self) -> tuple[list[Generation], list[Generation]]:
        """Once at start: what was running is now interrupted, its text kept; what is queued, oldest first."""
        return await self._database.write(generations.recover)

    # Settings and search

    async def get_settings(self, user_id: str) -> dict[str, Any]:
        return await self._database.read(settings.get, user_id)

    async def save_settings(self, user_id: str, changes: dict[str, Any]) -> None:
        """Merges `changes` (JSON values) into what is there; None takes a key out."""
        await self._database.write(settings.save, user_id, changes)

    async def search(
        self, user_id: str, query: str, *, limit: int = 20, offset: int = 0
    ) -> tuple[list[SearchHit], int]:
        """Messages with every word of `query`, newest first; how many, counted up to `search.COUNTED`."""
        return await self._database.read(search.hits, user_id, query, limit, offset)
