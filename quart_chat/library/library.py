"""`Library`: the models on this machine: what there is, what is in memory, what comes down, and every change to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import TYPE_CHECKING

from quart_chat.config import Settings
from quart_chat.entities import Parameters, now_ms
from quart_chat.errors import ConflictError, ModelError, ModelNotFoundError
from quart_chat.events import QueueEntry
from quart_chat.library.jobs import Jobs
from quart_chat.library.loads import KeepAlive, Loads
from quart_chat.library.machine import Machine, read_machine
from quart_chat.library.permissions import may_manage, need_manager
from quart_chat.library.preload import Situation, choose, has_room
from quart_chat.library.pulls import DOWNLOADS, Pulls
from quart_chat.library.updates import Updates
from quart_chat.library.upkeep import Upkeep
from quart_chat.library.uses import Uses
from quart_chat.library.watch import EngineWatch
from quart_chat.library.work import Work
from quart_chat.live.hub import Hub
from quart_chat.model_entities import Job, JobKind, JobState, LoadedModel, ModelInfo, ModelUse
from quart_chat.persistence.storage import StorageManager
from quart_chat.providers.ollama_models import same_model
from quart_chat.providers.registry import Providers

if TYPE_CHECKING:
    from quart_chat.library.catalogue import Offer


class Library(EngineWatch):
    """What changes something takes `by`, a user's id, and raises ForbiddenError if that user may not.

    `load_s(model)`: how long a load usually takes; `on_load(model)` is awaited when another was measured. `busy()`:
    names of the models that answer right now.
    """

    def __init__(
        self,
        providers: Providers,
        hub: Hub,
        settings: Settings,
        storage: StorageManager,
        *,
        load_s: Callable[[str], float | None],
        on_load: Callable[[str], Awaitable[None]],
        busy: Callable[[], Collection[str]],
    ) -> None:
        super().__init__(providers, hub, settings)
        self._busy = busy
        self._on_load = on_load
        self._uses = Uses(storage)
        self._updates = Updates()
        self._jobs = Jobs(hub, storage, on_end=self._job_ended)
        self._loads = Loads(self._jobs, providers, load_s=load_s, blocked=self._blocked, look=self.refresh)
        self.pulls = Pulls(self._jobs, providers, installed=self.installed, look=self.refresh)
        self._upkeep = Upkeep(self, providers, self._jobs, busy)
        self._held_by: dict[str, str] = {}
        """Person to the load that waits for their yes."""

    async def start(self) -> None:
        await self._uses.start()
        for job in await self._jobs.start():
            self._updates.note(job)
        await super().start()

    async def close(self) -> None:
        """What runs is stored as interrupted; takes less than a second."""
        await self._jobs.close()
        await super().close()

    # in memory

    def begin_load(self, name: str, *, by: str, num_ctx: int | None = None, keep_alive: KeepAlive = None) -> Work:
        """Bring a model into memory; goes on without the one who asked. Joins a load that is under way."""
        need_manager(by)
        return self._loads.begin(self._name_of(name), by=by, num_ctx=num_ctx, keep_alive=keep_alive)

    def offer_load(
        self, name: str, *, by: str, person: str, num_ctx: int | None = None, keep_alive: KeepAlive = None
    ) -> Work | None:
        """`person` has chosen a model: load it ahead of the first question, if that takes nothing away from others.

        Where it would, a held load asks on the boards; choosing again replaces it.
        """
        self._loads.withdraw(self._held_by.pop(person, ""))
        model = self.installed(name)
        if model is None or self.engine.status != "connected" or not may_manage(by):
            return None
        situation = Situation(
            model=model,
            person=person,
            now=now_ms(),
            num_ctx=num_ctx or 0,
            loaded=self.loaded,
            busy=self._busy(),
            uses=self._uses.known,
            machine=self.machine(),
        )
        choice = choose(situation)
        if choice.what == "load":
            return self._loads.begin(model.name, by=by, num_ctx=num_ctx, keep_alive=keep_alive)
        if choice.what == "ask":
            held = self._loads.hold(model.name, by=by, num_ctx=num_ctx, keep_alive=keep_alive, leaving=choice.leaving)
            self._held_by[person] = held.id
        return None

    async def unload(self, name: str, *, by: str) -> None:
        """Returns when the engine has been told: a model that answers leaves after its answer."""
        need_manager(by)
        await self._providers.for_model(name).unload_model(name)
        self.look_now()

    # downloads

    def pull(self, name: str, *, by: str) -> Work:
        """Download a model. Joins a download that is under way. Raises InvalidInputError for what is no name."""
        need_manager(by)
        return self.pulls.begin(JobKind.PULL, name, by=by)

    def update(self, name: str, *, by: str) -> Work:
        """Download again what has changed of an installed model. Raises ModelNotFoundError."""
        need_manager(by)
        if not self.knows(name):
            raise ModelNotFoundError("This model is not on this machine.")
        return self.pulls.begin(JobKind.UPDATE, self._name_of(name), by=by)

    def update_all(self, *, by: str) -> list[Work]:
        """Of those that run here; two come down at a time."""
        return [self.update(model.name, by=by) for model in self.models if not model.remote]

    def check_updates(self, *, by: str) -> list[Work]:
        """Ask the registries what is newer; what is being downloaded anyway is left out."""
        need_manager(by)
        asked = [model.name for model in self.models if not model.remote and self.work_on(model.name) is None]
        return [self.pulls.begin(JobKind.CHECK, name, by=by) for name in asked]

    def work_on(self, name: str) -> Work | None:
        """The download of that model that is under way."""
        return self._jobs.running(name, *DOWNLOADS)

    # jobs

    def jobs(self) -> list[Job]:
        """Under way, held and lately ended, oldest first."""
        return self._jobs.all()

    def job(self, job_id: str) -> Job:
        """Raises NotFoundError."""
        return self._jobs.get(job_id)

    async def cancel(self, job_id: str, *, by: str) -> Job:
        """The engine has stopped when this returns. Idempotent. Raises NotFoundError."""
        need_manager(by)
        return await self._jobs.cancel(job_id)

    def resume(self, job_id: str, *, by: str) -> Work:
        """Again, under the same id: a download goes on where it stopped, a held load is let go.

        Joins what is under way. Raises NotFoundError, ConflictError for what went well.
        """
        need_manager(by)
        job = self._jobs.get(job_id)
        if job.state is JobState.COMPLETE:
            raise ConflictError("This is done already.")
        return self._loads.resume(job) if job.kind is JobKind.LOAD else self.pulls.resume(job)

    async def dismiss(self, job_id: str, *, by: str) -> None:
        """An ended or held one leaves the boards. Raises NotFoundError, ConflictError while it runs."""
        need_manager(by)
        await self._jobs.dismiss(job_id)

    # what is installed: see Upkeep for what each raises

    async def delete(self, name: str, *, by: str) -> int:
        need_manager(by)
        return await self._upkeep.delete(name)

    async def copy(self, source: str, destination: str, *, by: str) -> None:
        need_manager(by)
        await self._upkeep.copy(source, destination)

    async def rename(self, source: str, destination: str, *, by: str) -> None:
        need_manager(by)
        await self._upkeep.rename(source, destination)

    async def create(self, name: str, *, source: str, system: str, parameters: Parameters, by: str) -> None:
        need_manager(by)
        await self._upkeep.create(name, source=source, system=system, parameters=parameters)

    async def available(self) -> list[Offer]:
        """What one could pull and has not; without the engine's own suggestions while it does not answer."""
        from quart_chat.library.catalogue import available

        try:
            recommended = await self._providers.primary.recommendations()
        except ModelError:
            recommended = []
        return available(self.models, recommended, self.machine())

    def machine(self) -> Machine:
        return read_machine(self._settings.ollama_base_url)

    # who used what

    def note_use(self, use: ModelUse) -> None:
        if self._uses.note(use):
            self._publish_uses()

    def note_queue(self, entries: Iterable[QueueEntry]) -> None:
        """The queue as it stands now."""
        if self._uses.follow(entries):
            self._publish_uses()

    def _name_of(self, name: str) -> str:
        """As the engine writes it, under which everything about it is measured and kept."""
        model = self.installed(name)
        return model.name if model is not None else name

    def _blocked(self, name: str, loaded: Collection[LoadedModel]) -> bool:
        others = [held for held in loaded if not same_model(held.name, name)]
        answering = any(same_model(held.name, busy) for held in others for busy in self._busy())
        model = self.installed(name) or ModelInfo(name=name)
        return answering and not has_room(model, others, self.machine())

    async def _job_ended(self, job: Job) -> None:
        self._updates.note(job)
        self._publish_updates()
        if job.kind is JobKind.LOAD and job.state is JobState.COMPLETE:
            await self._on_load(job.model)
        self.look_now()

    def _publish(self) -> None:
        super()._publish()
        self._loads.settle(self.loaded)
        self._publish_uses()
        self._publish_updates()

    def _publish_uses(self) -> None:
        names = [model.name for model in (*self.models, *self.demo_models)]
        self._hub.share("use", self._uses.named(names))

    def _publish_updates(self) -> None:
        self._hub.share("update", self._updates.of(self.models))
