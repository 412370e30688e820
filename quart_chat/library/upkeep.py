"""Changes to what is installed: delete, copy, rename, make an assistant. Each is over in moments."""

from __future__ import annotations

from collections.abc import Callable, Collection

from quart_chat.entities import Parameters
from quart_chat.errors import ConflictError, EngineUnavailableError, ModelNotFoundError
from quart_chat.library.jobs import Jobs
from quart_chat.library.names import checked_name
from quart_chat.library.watch import EngineWatch
from quart_chat.model_entities import JobKind, ModelInfo
from quart_chat.providers.ollama_models import same_model
from quart_chat.providers.registry import Providers


class Upkeep:
    """`busy()`: names of the models that answer right now. When a method returns, the boards know of the change."""

    def __init__(
        self, watch: EngineWatch, providers: Providers, jobs: Jobs, busy: Callable[[], Collection[str]]
    ) -> None:
        self._watch = watch
        self._engine = providers.primary
        self._jobs = jobs
        self._busy = busy

    async def delete(self, name: str) -> int:
        """Unloads it first. Returns the bytes its files had. Raises ModelNotFoundError, ConflictError while it is in
        use."""
        model = await self._found(name)
        self._check_unused(model.name)
        await self._remove(model)
        await self._watch.refresh()
        return model.size

    async def copy(self, source: str, destination: str) -> None:
        """Raises InvalidInputError for a bad name, ConflictError if it is taken."""
        model = await self._found(source)
        await self._engine.copy_model(model.name, await self._free_name(destination))
        await self._watch.refresh()

    async def rename(self, source: str, destination: str) -> None:
        """As a copy. Cancelled half way, the model has both names."""
        model = await self._found(source)
        self._check_unused(model.name)
        await self._engine.copy_model(model.name, await self._free_name(destination))
        await self._remove(model)
        await self._watch.refresh()

    async def create(self, name: str, *, source: str, system: str, parameters: Parameters) -> None:
        """As a copy."""
        model = await self._found(source)
        name = await self._free_name(name)
        await self._engine.create_model(name, source=model.name, system=system, parameters=parameters)
        await self._watch.refresh()

    async def _remove(self, model: ModelInfo) -> None:
        loaded = await self._engine.running_models()
        if any(same_model(model.name, held.name) for held in loaded):
            await self._engine.unload_model(model.name)  # under a name that is gone nobody could unload it
        await self._engine.delete_model(model.name)

    async def _found(self, name: str) -> ModelInfo:
        model = self._watch.installed(name)
        if model is None:
            await self._watch.refresh()
            model = self._watch.installed(name)
        if model is None and self._watch.engine.status != "connected":
            raise EngineUnavailableError(self._watch.engine.problem or "Ollama does not answer.")
        if model is None:
            raise ModelNotFoundError("This model is not on this machine any more.")
        return model

    async def _free_name(self, name: str) -> str:
        """The engine would replace what has the name; nobody asked for that."""
        name = checked_name(name, "name")
        await self._watch.refresh()
        if self._watch.installed(name) is not None:
            raise ConflictError(f"There is a model called {name} already. Choose another name.")
        if self._jobs.running(name, JobKind.PULL, JobKind.UPDATE) is not None:
            raise ConflictError(f"{name} is being downloaded. Choose another name.")
        return name

    def _check_unused(self, name: str) -> None:
        if any(same_model(name, busy) for busy in self._busy()):
            raise ConflictError(f"{name} is answering right now. Wait for its end or stop it first.")
        if self._jobs.running(name, JobKind.PULL, JobKind.UPDATE) is not None:
            raise ConflictError(f"{name} is being downloaded. Cancel that first.")
        if self._jobs.running(name, JobKind.LOAD) is not None:
            raise ConflictError(f"{name} is being loaded. Wait for that or cancel it first.")
