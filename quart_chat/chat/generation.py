"""Run one generation: ask the engine, let the answer grow in the live document, save as it goes, store its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import aclosing

from quart_chat.chat.contexts import Contexts
from quart_chat.chat.estimates import Estimates
from quart_chat.chat.phases import PhaseLine
from quart_chat.chat.progress import Progress
from quart_chat.chat.prompt import build_prompt, estimate_tokens
from quart_chat.chat.shelf import Shelf
from quart_chat.chat.turns import Ticket
from quart_chat.chat.whole import whole
from quart_chat.entities import ChatSession, GenerationState, Message, Problem, now_ms
from quart_chat.errors import AnswerCutError, NotFoundError, QuartChatError, StorageError
from quart_chat.live.hub import Hub
from quart_chat.live.session import SessionDocument
from quart_chat.log_context import request_id
from quart_chat.metrics import GenerationCounts
from quart_chat.model_entities import ModelInfo
from quart_chat.persistence.storage import StorageManager
from quart_chat.providers.base import ChatRequest, PromptTurn
from quart_chat.providers.ollama_models import of_model
from quart_chat.providers.registry import Providers

logger = logging.getLogger(__name__)

CHECKPOINT_S = 0.7
"""So that text older than a second is in the database, its commit included."""
MAX_ANSWER_CHARS = 1_000_000
MAX_HISTORY = 400
BREATH = 64
"""Chunks that came in one piece are taken this many at a time: in between it is others' turn."""
SAVE_PAUSES_S = (0.5, 1, 2, 4, 8, 15)

STARTED = "generation %(generation)s started in session %(session)s by %(model)s after %(waited_ms)d ms"
ENDED = (
    "generation %(generation)s %(outcome)s by %(model)s: %(tokens)d tokens in %(ms)d ms,"
    " the first after %(first_token_ms)d ms"
)


class GenerationRunner:
    """Whatever happens, a generation that was started gets an end that is stored: complete, stopped, failed or
    interrupted, with the text that had come."""

    def __init__(
        self,
        storage: StorageManager,
        hub: Hub,
        providers: Providers,
        estimates: Estimates,
        contexts: Contexts,
        shelf: Shelf,
    ) -> None:
        self._storage = storage
        self._hub = hub
        self._providers = providers
        self._estimates = estimates
        self._contexts = contexts
        self._shelf = shelf
        self.counts = GenerationCounts()

    async def run(self, ticket: Ticket) -> None:
        """Cancelled: the engine is stopped, the end is stored, then it returns (stopped by a person) or raises.

        Cancelled before it began: stays as it is stored, for the next start.
        """
        generation = ticket.generation
        request_id.set(ticket.request_id)
        try:
            async with self._hub.session(generation.session_id, generation.user_id) as document:
                await self._run(ticket, document)
            await self._estimates.refresh(generation.model)
            await self._shelf.refresh(generation.user_id)
        except NotFoundError:
            logger.info("generation %s: its session was deleted", generation.id)
        except StorageError as error:
            logger.error("generation %s: %s", generation.id, error.message)

    async def _run(self, ticket: Ticket, document: SessionDocument) -> None:
        generation = ticket.generation
        progress = Progress(ticket)
        problem, cancelled = None, False
        try:
            await self._produce(ticket, document, progress)
            state = GenerationState.COMPLETE
            problem = progress.remark()
        except asyncio.CancelledError:
            cancelled = not ticket.stopping
            if cancelled and not progress.begun:
                raise
            state = GenerationState.INTERRUPTED if cancelled else GenerationState.STOPPED
            if cancelled:
                problem = Problem(code="INTERRUPTED", text="The server was stopped while this was being written.")
        except QuartChatError as error:
            state = GenerationState.FAILED
            problem = Problem(code=error.code, text=error.message, retry=error.retry)
        except Exception:
            logger.exception("generation %s failed", generation.id)
            state = GenerationState.FAILED
            problem = Problem(code="INTERNAL_ERROR", text="Something went wrong here. The log has the details.")
        await whole(self._finish(ticket, document, progress, state, problem))
        if cancelled:
            raise asyncio.CancelledError

    async def _produce(self, ticket: Ticket, document: SessionDocument, progress: Progress) -> None:
        """That it runs is committed before the engine is asked: no death makes it be asked twice."""
        generation = ticket.generation
        waited = generation.state is GenerationState.QUEUED
        if waited and not await self._storage.start_generation(generation.id, now_ms()):
            return  # it has its end already: somebody stopped it
        session = document.session
        messages = await self._history(document)
        answer = next((m for m in messages if m.id == generation.message_id), None)
        if answer is None:
            raise NotFoundError("This message is gone.")
        progress.begin(answer if generation.continues else None)
        turns = build_prompt(session, messages, answer, continues=generation.continues)
        provider = self._providers.for_model(generation.model)
        request = self._request(generation.model, session, turns)
        progress.digest, progress.num_ctx = self._digest(generation.model), request.parameters.num_ctx or 0
        phases = PhaseLine(document, generation, progress, provider, self._estimates, estimate_tokens(turns))
        self._note_start(ticket)
        helpers = [
            asyncio.create_task(phases.watch(), name="phases"),
            asyncio.create_task(self._save_as_it_goes(answer, progress), name="checkpoints"),
        ]
        try:
            async with aclosing(provider.generate_response(request)) as chunks:
                async for chunk in chunks:
                    progress.take(chunk, document, answer.id)
                    if progress.first_of_its_kind:
                        phases.show()
                    if progress.chunks % BREATH == 0:
                        await asyncio.sleep(0)
                    if progress.length > MAX_ANSWER_CHARS:
                        raise AnswerCutError("The answer grew past a million characters and was cut off here.")
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    def _request(self, model: str, session: ChatSession, turns: tuple[PromptTurn, ...]) -> ChatRequest:
        return ChatRequest(
            model=model,
            turns=turns,
            parameters=self._contexts.complete(model, session.parameters),
            think=session.think,
            keep_alive=self._contexts.keep_alive(model),
        )

    def _digest(self, model: str) -> str:
        models: Mapping[str, ModelInfo] = self._hub.shared("model")
        known = of_model(models, model)
        return known.digest if known is not None else ""

    async def _history(self, document: SessionDocument) -> list[Message]:
        if not document.has_older:
            return [live.whole for live in document.messages.values()]
        session = document.session
        return await self._storage.get_messages(session.id, session.user_id, limit=MAX_HISTORY)

    async def _save_as_it_goes(self, answer: Message, progress: Progress) -> None:
        saved = 0
        while True:
            await asyncio.sleep(CHECKPOINT_S)
            if progress.length == saved:
                continue
            length = progress.length
            try:
                await self._storage.checkpoint(answer.id, progress.content, progress.thinking)
                saved = length
            except StorageError as error:
                logger.warning("an answer could not be saved for now: %s", error.message)

    async def _finish(
        self,
        ticket: Ticket,
        document: SessionDocument,
        progress: Progress,
        state: GenerationState,
        problem: Problem | None,
    ) -> None:
        self._note_end(ticket, progress, state, problem)
        for pause in (*SAVE_PAUSES_S, None):
            try:
                message = await self._storage.finish_generation(
                    ticket.id,
                    state,
                    content=progress.content if progress.begun else None,
                    thinking=progress.thinking if progress.begun else None,
                    statistics=progress.statistics(),
                    usage=progress.usage(),
                    problem=problem,
                    digest=progress.digest,
                    num_ctx=progress.num_ctx,
                )
            except StorageError as error:
                logger.error("the end of generation %s could not be stored: %s", ticket.id, error.message)
                if pause is None:
                    return
                await asyncio.sleep(pause)
            else:
                if message is not None:
                    document.put(message)
                return

    def _note_start(self, ticket: Ticket) -> None:
        generation = ticket.generation
        waited_ms = max(0, (ticket.started_at or now_ms()) - generation.created_at)
        self.counts.wait.add(waited_ms / 1000)
        facts = {
            "generation": generation.id,
            "session": generation.session_id,
            "model": generation.model,
            "waited_ms": waited_ms,
        }
        logger.info(STARTED, facts, extra={"facts": facts})

    def _note_end(self, ticket: Ticket, progress: Progress, state: GenerationState, problem: Problem | None) -> None:
        statistics = progress.statistics()
        self.counts.note_end(state, statistics)
        facts = {
            "generation": ticket.id,
            "outcome": state.value + (f" ({problem.code})" if problem else ""),
            "model": ticket.model,
            "ms": now_ms() - progress.asked_at,
            "first_token_ms": statistics.first_token_ms,
            "tokens": statistics.output_tokens,
        }
        logger.info(ENDED, facts, extra={"facts": facts})
