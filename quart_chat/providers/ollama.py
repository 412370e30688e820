"""`OllamaClient`: the provider that talks to a running Ollama."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from quart_chat.entities import Parameters
from quart_chat.errors import ModelError
from quart_chat.model_entities import LoadedModel, ModelInfo
from quart_chat.providers.base import ChatRequest, Chunk, Early, FinalChunk, NoticeChunk, PullLine, Recommendation
from quart_chat.providers.ollama_call import Call
from quart_chat.providers.ollama_chat import estimated_tokens, final_chunk, looks_cut, rough_tokens
from quart_chat.providers.ollama_http import OllamaWire
from quart_chat.providers.ollama_models import normalise, same_model
from quart_chat.providers.ollama_opening import Opening, restarted_notice
from quart_chat.providers.ollama_shelf import OllamaShelf
from quart_chat.providers.ollama_stream import AnswerStream
from quart_chat.providers.ollama_watch import Patience

if TYPE_CHECKING:
    from quart_chat.providers.ollama_files import OllamaFiles

log = logging.getLogger(__name__)

TRUNCATED = "The conversation is longer than the model can read: its beginning was left out."


class OllamaClient:
    """Implements `Provider`. Opens nothing until it is asked something; one serves everybody in one loop.

    `timeout_s`: how long an answer may be silent; a model that is not in memory gets twice that to begin.
    `retries`: asking again when nobody listens or the engine is too busy, never once output came.
    `stuck_after_s`: silence of a loaded model, beyond the time its prompt may need, after which its slot is
    taken for dead: the model is unloaded and asked once more (default: 60 s, at most `timeout_s`).
    `pull_silence_s`: how long a download may say nothing at all; one that stands still says so all the time.
    """

    name = "ollama"

    def __init__(
        self,
        base_url: str,
        *,
        timeout_s: float = 300,
        retries: int = 3,
        slots: int = 1,
        stuck_after_s: float | None = None,
        backoff_s: float = 0.2,
        pull_silence_s: float = 600,
    ) -> None:
        self.slots = slots
        self._timeout_s = timeout_s
        self._stuck_after_s = stuck_after_s
        self._wire = OllamaWire(base_url, retries=retries, backoff_s=backoff_s)
        self._shelf = OllamaShelf(self._wire, load_timeout_s=2 * timeout_s)
        self._pull_silence_s = pull_silence_s
        self._in_flight: Counter[str] = Counter()

    @property
    def base_url(self) -> str:
        """For showing: without the password it may carry."""
        return self._wire.shown_url

    async def version(self) -> str:
        return await self._shelf.version()

    async def list_models(self, *, early: Early | None = None) -> list[ModelInfo]:
        """Newest first. Licence, template and parameters only come with `get_model_info`."""
        return await self._shelf.models(early)

    async def get_model_info(self, name: str) -> ModelInfo:
        return await self._shelf.info(name)

    async def running_models(self) -> list[LoadedModel]:
        """What is in memory; a model that is being loaded is not. Fails within 5 s, asks once at a time."""
        return await self._shelf.running()

    async def load_model(self, name: str, *, num_ctx: int | None = None, keep_alive: int | str | None = None) -> int:
        return await self._shelf.load(name, num_ctx=num_ctx, keep_alive=keep_alive)

    async def unload_model(self, name: str) -> None:
        """Returns when Ollama knows; the memory is free once the answers under way have ended."""
        await self._shelf.unload(name)

    def pull_model(self, name: str) -> AsyncGenerator[PullLine, None]:
        from quart_chat.providers.ollama_pull import pull

        return pull(self._wire, name, silence_s=self._pull_silence_s)

    async def delete_model(self, name: str) -> None:
        await self._files().delete(name)

    async def copy_model(self, source: str, destination: str) -> None:
        await self._files().copy(source, destination)

    async def create_model(self, name: str, *, source: str, system: str, parameters: Parameters) -> None:
        await self._shelf.info(source)
        await self._files().create(name, source=source, system=system, parameters=parameters)

    async def recommendations(self) -> list[Recommendation]:
        return await self._files().recommendations()

    async def generate_response(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """As `Provider` promises. Notices: `restarted` before the answer, `truncated` just before its end."""
        think = bool(request.think) and await self._shelf.thinks(request.model)
        opening = self._opening(request, think)
        call: Call | None = None
        with self._counted(request.model):
            try:
                while (call := await opening.answered()) is None:
                    yield restarted_notice(request.model)
                stream = AnswerStream(
                    call.response, model=request.model, fold_tags=not opening.think, silence_s=self._timeout_s
                )
                while chunks := await stream.read():
                    for chunk in chunks:
                        yield chunk
                call.read_out = stream.read_out
            finally:
                if call is not None:
                    await self._wire.hang_up(call)
        if stream.done is not None:
            final = final_chunk(stream.done)
            if await self._was_cut(request, final):
                yield NoticeChunk("truncated", TRUNCATED)
            yield final

    async def close(self) -> None:
        """Idempotent. Streams that are still being read must be ended by whoever reads them."""
        await self._shelf.close()
        await self._wire.close()

    def _files(self) -> OllamaFiles:
        """Imported when it is first needed, as what pulls: nobody should wait for them at the start."""
        from quart_chat.providers.ollama_files import OllamaFiles

        return OllamaFiles(self._wire)

    def _opening(self, request: ChatRequest, think: bool) -> Opening:
        key = normalise(request.model)
        return Opening(
            request,
            think=think,
            patience=Patience.of(
                timeout_s=self._timeout_s,
                stuck_after_s=self._stuck_after_s,
                prompt_tokens=rough_tokens(request),
            ),
            wire=self._wire,
            shelf=self._shelf,
            alone=lambda: self._in_flight[key] <= 1,
        )

    @contextmanager
    def _counted(self, model: str) -> Iterator[None]:
        key = normalise(model)
        self._in_flight[key] += 1
        try:
            yield
        finally:
            self._in_flight[key] -= 1
            if not self._in_flight[key]:
                del self._in_flight[key]

    async def _was_cut(self, request: ChatRequest, final: FinalChunk) -> bool:
        """Ollama silently drops what its window cannot hold; only the count of what it read tells."""
        if not looks_cut(request, final.statistics.prompt_tokens):
            return False
        context = request.parameters.num_ctx or await self._context_in_use(request.model)
        return 0 < context < estimated_tokens(request)

    async def _context_in_use(self, model: str) -> int:
        try:
            loaded = await self._shelf.running()
        except ModelError as error:
            log.debug("whether the prompt was cut stays unknown: %s", error.message)
            return 0
        return next((one.context_length for one in loaded if same_model(one.name, model)), 0)
