"""Reads what Ollama says about models (tags, show, ps) into our entities."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from quart_chat.model_entities import LoadedModel, ModelInfo

T = TypeVar("T")

FOREVER_FROM_YEAR = "2200"
"""keep_alive -1 is shown as a date some 290 years ahead."""


class Details(Struct):
    format: str | None = None
    family: str | None = None
    families: list[str] | None = None
    parameter_size: str | None = None
    quantization_level: str | None = None
    context_length: int | None = None


class TagsModel(Struct):
    name: str
    size: int = 0
    digest: str = ""
    modified_at: str = ""
    details: Details = field(default_factory=Details)
    capabilities: list[str] | None = None
    remote_model: str | None = None
    remote_host: str | None = None


class Tags(Struct):
    models: list[TagsModel] | None = None


class Show(Struct):
    license: str | None = None
    parameters: str | None = None
    template: str | None = None
    details: Details = field(default_factory=Details)
    model_info: dict[str, Any] | None = None
    capabilities: list[str] | None = None
    modified_at: str | None = None
    remote_model: str | None = None
    remote_host: str | None = None


class PsModel(Struct):
    name: str
    size: int = 0
    size_vram: int = 0
    digest: str = ""
    context_length: int = 0
    expires_at: str = ""


class Ps(Struct):
    models: list[PsModel] | None = None


class Version(Struct):
    version: str


class ShownModel(Struct, frozen=True):
    """The part of `show` that is worth keeping; the tensors are megabytes nobody reads."""

    capabilities: tuple[str, ...]
    context_length: int
    license: str
    template: str
    parameters: str
    details: Details
    modified_at: str
    remote: bool


def normalise(name: str) -> str:
    """The form in which two names of one model are equal: lower case, with its tag."""
    name = name.strip().lower()
    last = name.rpartition("/")[2]
    return name if not last or ":" in last else f"{name}:latest"


def same_model(one: str, other: str) -> bool:
    return normalise(one) == normalise(other)


def own_name(name: str, known: Collection[str]) -> str:
    """As the engine writes it, so that one model is not counted under several names; unknown ones as they are."""
    if name in known:
        return name
    return next((one for one in known if same_model(one, name)), name)


def of_model(items: Mapping[str, T], name: str) -> T | None:
    """What belongs to that model among `items` by name, whichever way the name is written."""
    return items.get(own_name(name, items.keys()))


def model_from_tags(tag: TagsModel) -> ModelInfo:
    details = tag.details
    return ModelInfo(
        name=tag.name,
        size=tag.size,
        digest=tag.digest,
        modified_at=tag.modified_at,
        format=details.format or "",
        family=details.family or "",
        families=tuple(details.families or ()),
        parameter_size=details.parameter_size or "",
        quantization=details.quantization_level or "",
        capabilities=tuple(tag.capabilities or ()),
        context_length=details.context_length or 0,
        remote=bool(tag.remote_model or tag.remote_host),
    )


def model_from_show(name: str, shown: ShownModel) -> ModelInfo:
    """For a model that is not in the list, such as one that runs elsewhere."""
    details = shown.details
    plain = ModelInfo(
        name=name,
        modified_at=shown.modified_at,
        format=details.format or "",
        family=details.family or "",
        families=tuple(details.families or ()),
        parameter_size=details.parameter_size or "",
        quantization=details.quantization_level or "",
        remote=shown.remote,
    )
    return with_shown(plain, shown, texts=True)


def with_shown(model: ModelInfo, shown: ShownModel, *, texts: bool = False) -> ModelInfo:
    """`show` knows the capabilities better than the list. `texts`: with licence, template, parameters."""
    known = replace(
        model,
        capabilities=shown.capabilities or model.capabilities,
        context_length=shown.context_length or model.context_length,
    )
    if not texts:
        return known
    return replace(known, license=shown.license, template=shown.template, parameters=shown.parameters)


def read_show(show: Show) -> ShownModel:
    return ShownModel(
        capabilities=tuple(show.capabilities or ()),
        context_length=_context_length(show.model_info or {}),
        license=show.license or "",
        template=show.template or "",
        parameters=show.parameters or "",
        details=show.details,
        modified_at=show.modified_at or "",
        remote=bool(show.remote_model or show.remote_host),
    )


def loaded_from_ps(model: PsModel) -> LoadedModel:
    return LoadedModel(
        name=model.name,
        size=model.size,
        size_vram=model.size_vram,
        digest=model.digest,
        context_length=model.context_length,
        expires_at=model.expires_at,
        forever=model.expires_at[:4] >= FOREVER_FROM_YEAR,
    )


def _context_length(info: dict[str, Any]) -> int:
    value = info.get(f"{info.get('general.architecture')}.context_length")
    return value if isinstance(value, int) else 0
