"""The models of one Ollama as files: deleted, copied, created from each other, and recommended."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from msgspec import Struct

from quart_chat.entities import Parameters
from quart_chat.errors import EngineUnavailableError, ModelError, ModelNotFoundError, ModelTimeoutError
from quart_chat.providers.base import Recommendation
from quart_chat.providers.ndjson import BadLineError, LineDecoder
from quart_chat.providers.ollama_chat import checked_name, encoded, options_from
from quart_chat.providers.ollama_errors import UnknownRequestError, error_from_answer, words_of, words_of_value
from quart_chat.providers.ollama_http import OllamaWire, content_type
from quart_chat.providers.ollama_pull import SUCCESS, ReportLine
from quart_chat.providers.ollama_pull_errors import create_error

log = logging.getLogger(__name__)

FILES_S = 60.0
"""Deleting large files takes seconds on some disks."""

CREATE_S = 300.0
QUICK_S = 5.0


class Recommended(Struct):
    model: str = ""
    description: str | None = None
    context_length: int | float | None = None
    vram_bytes: int | float | None = None


class Recommendations(Struct):
    recommendations: list[Recommended] | None = None


class Cloud(Struct):
    disabled: bool = False


class Status(Struct):
    cloud: Cloud | None = None


class OllamaFiles:
    """A caller that is cancelled leaves a delete or copy to its end; a create is ended with it."""

    def __init__(self, wire: OllamaWire) -> None:
        self._wire = wire

    async def delete(self, name: str) -> None:
        await self._told("DELETE", "/api/delete", {"model": checked_name(name)}, name)

    async def copy(self, source: str, destination: str) -> None:
        names = {"source": checked_name(source), "destination": checked_name(destination)}
        await self._told("POST", "/api/copy", names, source)

    async def create(self, name: str, *, source: str, system: str, parameters: Parameters) -> None:
        """`source` must be here, or Ollama would download it first."""
        body: dict[str, Any] = {"model": checked_name(name), "from": checked_name(source), "stream": False}
        if system:
            body["system"] = system
        if options := options_from(parameters):
            body["parameters"] = options
        call = self._wire.call("/api/create", encoded(body))
        try:
            async with asyncio.timeout(CREATE_S):
                data = await self._wire.body_of(await self._wire.headers_of(call))
        except TimeoutError:
            raise ModelTimeoutError(f"Ollama took too long to create {name}.") from None
        finally:
            await self._wire.hang_up(call)
        _check_created(call.response.status_code, content_type(call.response), data, name)

    async def recommendations(self) -> list[Recommendation]:
        """Those that run elsewhere only where Ollama would let them."""
        path = "/api/experimental/model-recommendations"
        try:
            found = await self._wire.get(path, Recommendations, timeout_s=QUICK_S)
        except (UnknownRequestError, ModelNotFoundError):
            return []
        except TimeoutError:
            raise self._wire.silent() from None
        all_of_them = [_recommendation(one) for one in found.recommendations or () if one.model]
        if any(one.remote for one in all_of_them) and await self._cloud_is_off():
            return [one for one in all_of_them if not one.remote]
        return all_of_them

    async def _told(self, method: str, path: str, body: dict[str, Any], model: str) -> None:
        try:
            await self._wire.tell(method, path, encoded(body), timeout_s=FILES_S, model=model)
        except TimeoutError:
            raise self._wire.silent() from None

    async def _cloud_is_off(self) -> bool:
        """False also where it cannot be found out, as with older ones."""
        try:
            status = await self._wire.get("/api/status", Status, timeout_s=QUICK_S)
        except EngineUnavailableError:
            raise
        except (ModelError, TimeoutError) as error:
            log.debug("whether the cloud is off stays unknown: %s", type(error).__name__)
            return False
        return status.cloud is not None and status.cloud.disabled


def _check_created(status: int, kind: str, data: bytes, name: str) -> None:
    if status == 500 and (text := words_of(data)[0]):
        raise create_error(text, name)
    if status != 200:
        raise error_from_answer(status, kind, data, name)
    last = ReportLine()
    decoder = LineDecoder(ReportLine)
    try:
        for last in (*decoder.feed(data), *decoder.finish()):
            if last.error is not None:
                raise create_error(words_of_value(last.error), name)
    except BadLineError as error:
        log.warning("not a line about a new model: %s", error)
        raise ModelError("What answers at this address does not speak like Ollama.", retry=False) from error
    if last.status != SUCCESS:
        raise ModelError(f"Ollama broke off before {name} was created. Try again.")


def _recommendation(one: Recommended) -> Recommendation:
    tag = one.model.rpartition("/")[2].partition(":")[2].lower()
    return Recommendation(
        name=one.model,
        description=one.description or "",
        context_length=max(0, int(one.context_length or 0)),
        vram_bytes=max(0, int(one.vram_bytes or 0)),
        remote=tag == "cloud" or tag.endswith("-cloud"),
    )
