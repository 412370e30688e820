"""The part of `StorageManager` that is about models: what was done with them, who used them, what they took."""

from __future__ import annotations

from quart_chat.model_entities import Job, Measurements, ModelUse, Sample
from quart_chat.persistence import jobs, measurements
from quart_chat.persistence.database import Database


class ModelStorage:
    """The same promises as every method of `StorageManager`. All of it is the server's, not one user's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save_job(self, job: Job) -> None:
        """New or changed; of each kind the newest 200 that have ended are kept."""
        await self._database.write(jobs.save, job)

    async def list_jobs(self, limit: int = 50) -> list[Job]:
        """Newest first, without what they say of the moment."""
        return await self._database.read(jobs.newest, limit)

    async def recover_jobs(self) -> list[Job]:
        """Once at start: what was held or running is now interrupted; those, newest first."""
        return await self._database.write(jobs.recover)

    async def delete_job(self, job_id: str) -> None:
        """Idempotent."""
        await self._database.write(jobs.delete, job_id)

    async def measurements(self, model: str) -> Measurements:
        """Of the model's newest file: its latest complete answers with text; loads with its newest context size."""
        return await self._database.read(measurements.of_model, model)

    async def all_measurements(self) -> dict[str, Measurements]:
        return await self._database.read(measurements.of_all)

    async def samples(self, model: str, limit: int = 500) -> list[Sample]:
        """The latest complete answers with text, of every file that had this name, oldest first."""
        return await self._database.read(measurements.samples, model, limit)

    async def latest_uses(self) -> list[ModelUse]:
        """Of each model the newest answer that was begun."""
        return await self._database.read(measurements.latest_uses)
