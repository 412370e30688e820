"""Bodies of requests as checked data: JSON by msgspec, forms by name; every fault names its field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace
from quart import request

from quart_chat.entities import Parameters
from quart_chat.errors import InvalidInputError

T = TypeVar("T", bound=msgspec.Struct)

LIMITS: dict[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "max_tokens": (1, 131_072),
    "top_p": (0, 1),
    "top_k": (0, 1000),
    "seed": (-(2**31), 2**31 - 1),
    "num_ctx": (256, 1_048_576),
}
MAX_STOPS, MAX_STOP_CHARS = 8, 100
MAX_TITLE_CHARS = 200
MAX_SYSTEM_CHARS = 20_000
MAX_NAME_CHARS = 300


async def json_body(shape: type[T]) -> T:
    """The body as `shape`. Raises InvalidInputError naming the field that does not fit."""
    data = await request.get_data(as_text=False)
    try:
        return msgspec.json.decode(data or b"{}", type=shape)
    except msgspec.ValidationError as error:
        field = _field(error)
        raise InvalidInputError(f"{field or 'The body'} is not as expected.", {field: _reason(error)}) from None
    except msgspec.DecodeError:
        raise InvalidInputError("The body is not JSON.") from None


def limit_and_offset(most: int = 100, usual: int = 10) -> tuple[int, int]:
    """`limit` and `offset` of a list."""
    return whole_number("limit", usual, 1, most), whole_number("offset", 0, 0, 2**31)


def whole_number(name: str, usual: int, least: int, most: int) -> int:
    text = request.args.get(name, "")
    if not text:
        return usual
    if not re.fullmatch(r"\d{1,10}", text) or not least <= int(text) <= most:
        raise InvalidInputError(f"{name} must be a whole number from {least} to {most}.", {name: "out of range"})
    return int(text)


def needed(name: str) -> str:
    value = request.args.get(name, "").strip()
    if not value:
        raise InvalidInputError(f"Say which {name.replace('_', ' ')}.", {name: "missing"})
    return value


def session_changes(values: Mapping[str, Any]) -> dict[str, Any]:
    """The checked changes to a session among `values`: title, model, system_prompt, parameters, think, num_ctx."""
    changes: dict[str, Any] = {}
    for name, most in (
        ("title", MAX_TITLE_CHARS),
        ("model", MAX_NAME_CHARS),
        ("system_prompt", MAX_SYSTEM_CHARS),
    ):
        if name in values:
            changes[name] = _text(name, values[name], most)
    if "parameters" in values:
        parameters = checked_parameters(values["parameters"])
        changes["parameters"] = replace(parameters, num_ctx=None)
        if parameters.num_ctx is not None:
            changes["num_ctx"] = parameters.num_ctx
    if "think" in values:
        changes["think"] = values["think"]
    return changes


def settings_form(form: Mapping[str, str], before: Parameters) -> dict[str, Any]:
    """The same from the fields of a page's form, where everything is text and empty means unset; what the form has
    no field for stays as it was `before`."""
    values: dict[str, Any] = {name: form[name] for name in ("title", "model", "system_prompt") if name in form}
    if any(name in form for name in LIMITS):
        numbers: dict[str, Any] = {name: _number(name, form[name]) for name in LIMITS if name in form}
        values["parameters"] = replace(before, **numbers)
    if "think" in form:
        values["think"] = {"on": True, "off": False}.get(form["think"])
    changes = session_changes(values)
    if "num_ctx" in form:
        changes.setdefault("num_ctx", None)
    return changes


def checked_parameters(parameters: Parameters) -> Parameters:
    for name, (least, most) in LIMITS.items():
        value = getattr(parameters, name)
        if value is not None and not least <= value <= most:
            raise InvalidInputError(f"{name} must be from {least:g} to {most:g}.", {name: "out of range"})
    if len(parameters.stop) > MAX_STOPS or any(not 0 < len(stop) <= MAX_STOP_CHARS for stop in parameters.stop):
        raise InvalidInputError("stop takes up to 8 texts of up to 100 characters.", {"stop": "out of range"})
    return parameters


def _number(name: str, text: str) -> float | int | None:
    text = text.strip().replace(",", ".")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        raise InvalidInputError(f"{name} must be a number.", {name: "not a number"}) from None
    if name in {"temperature", "top_p"}:
        return value
    if value != value or value in (float("inf"), float("-inf")) or value != int(value):
        raise InvalidInputError(f"{name} must be a whole number.", {name: "not a whole number"})
    return int(value)


def _text(name: str, value: str, most: int) -> str:
    value = value.strip()
    if len(value) > most:
        raise InvalidInputError(f"{name} takes up to {most:,} characters.", {name: "too long"})
    return value


def _field(error: msgspec.ValidationError) -> str:
    found = re.search(r"`\$\.?([\w.\[\]]*)`", str(error)) or re.search(r"field `(\w+)`", str(error))
    return found.group(1) if found else ""


def _reason(error: msgspec.ValidationError) -> str:
    return str(error).split(" - at ")[0].replace("`", "")
