"""Reads a configuration file (TOML or YAML) into variable names and texts, as the environment has them.

Keys are the variables' names in either case. Three sections are known besides: `api` (where the engine is:
host, port, timeout), `models` (default, parameters.temperature and .max_length), `storage` (type, path).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from quart_chat.errors import ConfigError

SECTION_KEYS = {
    "api.timeout": "OLLAMA_TIMEOUT",
    "models.default": "OLLAMA_DEFAULT_MODEL",
    "models.parameters.temperature": "MODEL_DEFAULT_TEMPERATURE",
    "models.parameters.max_length": "MODEL_DEFAULT_MAX_TOKENS",
    "storage.type": "HISTORY_STORAGE_TYPE",
    "storage.path": "HISTORY_FILE_PATH",
}
ENGINE_KEYS = ("api.host", "api.port")


def read_config_file(path: Path, known: frozenset[str]) -> dict[str, str]:
    """Raises ConfigError for a file that cannot be read and for a key that is not one of `known`."""
    flat = dict(_flatten(_parse(path, _read(path))))
    values = _engine_address(flat)
    for key, value in flat.items():
        if key in ENGINE_KEYS:
            continue
        variable = SECTION_KEYS.get(key, key.upper())
        if variable not in known:
            raise ConfigError(f'"{key}" in {path} is not a setting. docs/configuration.md lists all of them.')
        values[variable] = _text(path, key, value)
    if values.get("HISTORY_STORAGE_TYPE", "").lower() == "sqlite":
        values["HISTORY_STORAGE_TYPE"] = "database"
    return values


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"QUART_CHAT_CONFIG: {path} cannot be read: {reason}.") from error


def _parse(path: Path, text: str) -> dict[str, Any]:
    if path.suffix.lower() in (".yaml", ".yml"):
        return _parse_yaml(path, text)
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"QUART_CHAT_CONFIG: {path} is not valid TOML: {error}.") from error


def _parse_yaml(path: Path, text: str) -> dict[str, Any]:
    try:
        import yaml
    except ImportError as error:
        raise ConfigError(
            f"QUART_CHAT_CONFIG: {path} needs PyYAML (pip install pyyaml); a .toml file needs nothing."
        ) from error
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"QUART_CHAT_CONFIG: {path} is not valid YAML.") from error
    if content is not None and not isinstance(content, dict):
        raise ConfigError(f"QUART_CHAT_CONFIG: {path} must hold names and values.")
    return content or {}


def _flatten(content: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", value


def _engine_address(flat: dict[str, Any]) -> dict[str, str]:
    if not any(key in flat for key in ENGINE_KEYS):
        return {}
    return {"OLLAMA_BASE_URL": f"http://{flat.get('api.host', 'localhost')}:{flat.get('api.port', 11434)}"}


def _text(path: Path, key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    if isinstance(value, str | int | float):
        return str(value)
    raise ConfigError(f'"{key}" in {path} must be a text, a number, true or false.')
