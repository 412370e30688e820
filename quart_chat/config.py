"""`Settings`: the only reader of the environment. Environment > file (QUART_CHAT_CONFIG) > defaults."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from quart_chat import config_values as values
from quart_chat.config_file import read_config_file
from quart_chat.config_values import Kind, NotAllowedError
from quart_chat.errors import ConfigError

SECONDS = 1.0
DATABASE_NAME = "quart-chat.db"
DATABASE_URL_PREFIX = "sqlite:///"


class Settings(Struct, frozen=True, kw_only=True):
    """Every setting with its default; units are in the name. See docs/configuration.md."""

    api_host: str = "127.0.0.1"
    api_port: int = 8000
    api_debug: bool = False
    data_dir: Path = Path("data")
    ollama_base_url: str = "http://localhost:11434"
    ollama_default_model: str = ""
    ollama_timeout_s: float = 300 * SECONDS
    ollama_retries: int = 3
    ollama_num_parallel: int = 1
    ollama_poll_s: float = 3 * SECONDS
    model_default_temperature: float = 0.7
    model_default_max_tokens: int | None = None
    model_default_top_p: float | None = None
    history_storage_type: str = "database"
    history_file_path: str = ""
    history_db_url: str = ""
    history_max_conversations: int = 0
    rate_limit_enabled: bool = True
    rate_limit_requests: int = 60
    rate_limit_streams: int = 3
    connections_max: int = 1000
    connections_max_per_address: int = 200
    sockets_max_per_person: int = 50
    queue_max: int = 100
    queue_max_per_person: int = 3
    max_message_chars: int = 32_000
    log_level: str = "INFO"
    log_file: str = ""
    log_format: str = "console"
    metrics: str = "auto"
    """auto: only where nobody but this machine can ask · on · off"""
    auth: bool = False
    behind_proxy: str = ""
    base_path: str = ""
    allowed_hosts: tuple[str, ...] = ()
    demo: str = "auto"
    """auto: offered when the engine has nothing to offer · on: always · off: never"""

    @property
    def database_path(self) -> Path:
        """The SQLite file: HISTORY_FILE_PATH or HISTORY_DB_URL where given, else in the data directory."""
        named = self.history_file_path or self.history_db_url.removeprefix(DATABASE_URL_PREFIX)
        return Path(named) if named else self.data_dir / DATABASE_NAME

    @property
    def compiled_path(self) -> Path | None:
        """Where compiled templates are kept between starts."""
        return self.data_dir / "compiled" if self.keeps_history else None

    @property
    def keeps_history(self) -> bool:
        """False: everything is forgotten when the server stops."""
        return self.history_storage_type == "database"

    @property
    def shows_metrics(self) -> bool:
        """Whether /metrics answers. A declared proxy on this machine asks for others, so it counts as outside."""
        if self.metrics != "auto":
            return self.metrics == "on"
        return values.is_loopback(self.api_host) and not self.behind_proxy


class Setting(Struct, frozen=True):
    """One variable: the field of `Settings` it fills ("" if it is only checked), its kind, what it is for."""

    variable: str
    field: str
    kind: Kind
    help: str


NO_ACCOUNTS = "accounts are not there yet, so it cannot be on; whoever can reach the server is its one user"
ONE_PROCESS = "quart-chat is one process by design; one is enough for hundreds of open tabs"
ONE_FILE = "the history is one SQLite file already: choose database, and HISTORY_FILE_PATH says where it lies"

SETTINGS = (
    Setting("API_HOST", "api_host", values.BIND_HOST, "Address to listen on. 0.0.0.0: the whole network."),
    Setting("API_PORT", "api_port", values.whole_number(0, 65535), "Port to listen on. 0: any free one."),
    Setting("API_DEBUG", "api_debug", values.flag(), "Logs everything; for developing."),
    Setting("API_WORKERS", "", values.only("1", ONE_PROCESS), "Always 1."),
    Setting("DATA_DIR", "data_dir", values.PATH, "Directory of the database; made if missing."),
    Setting("OLLAMA_BASE_URL", "ollama_base_url", values.ENGINE_URL, "Where Ollama answers."),
    Setting("OLLAMA_DEFAULT_MODEL", "ollama_default_model", values.TEXT, "Model of a new chat."),
    Setting("OLLAMA_TIMEOUT", "ollama_timeout_s", values.number(1, 86400, " seconds"), "Longest wait for a token."),
    Setting("OLLAMA_RETRIES", "ollama_retries", values.whole_number(0, 10), "Tries again before an answer began."),
    Setting("OLLAMA_NUM_PARALLEL", "ollama_num_parallel", values.whole_number(1, 64), "Answers at the same time."),
    Setting("OLLAMA_POLL", "ollama_poll_s", values.number(0.5, 3600, " seconds"), "How often to look at Ollama."),
    Setting("MODEL_DEFAULT_TEMPERATURE", "model_default_temperature", values.number(0, 2), "Of a new chat."),
    Setting(
        "MODEL_DEFAULT_MAX_TOKENS",
        "model_default_max_tokens",
        values.whole_number(1, 131072),
        "Longest answer.",
    ),
    Setting("MODEL_DEFAULT_TOP_P", "model_default_top_p", values.number(0, 1), "Of a new chat."),
    Setting(
        "HISTORY_STORAGE_TYPE",
        "history_storage_type",
        values.one_of("database", "memory", explained={"file": ONE_FILE}),
        "memory: everything is forgotten when the server stops.",
    ),
    Setting("HISTORY_FILE_PATH", "history_file_path", values.PATH, "The database file, if not in DATA_DIR."),
    Setting("HISTORY_DB_URL", "history_db_url", values.DATABASE_URL, "The same as a URL."),
    Setting(
        "HISTORY_MAX_CONVERSATIONS",
        "history_max_conversations",
        values.whole_number(0, 10_000_000),
        "Most chats to keep. 0: all.",
    ),
    Setting("RATE_LIMIT_ENABLED", "rate_limit_enabled", values.flag(), "Limits requests of one address."),
    Setting("RATE_LIMIT_REQUESTS", "rate_limit_requests", values.whole_number(1, 100_000), "Sends a minute."),
    Setting("RATE_LIMIT_STREAMS", "rate_limit_streams", values.whole_number(1, 1000), "Streams at the same time."),
    Setting("CONNECTIONS_MAX", "connections_max", values.whole_number(10, 100_000), "Open connections."),
    Setting(
        "CONNECTIONS_MAX_PER_ADDRESS",
        "connections_max_per_address",
        values.whole_number(1, 100_000),
        "The same, of one address.",
    ),
    Setting(
        "SOCKETS_MAX_PER_PERSON", "sockets_max_per_person", values.whole_number(1, 100_000), "Open tabs of one person."
    ),
    Setting("QUEUE_MAX", "queue_max", values.whole_number(1, 100_000), "Most questions that may wait."),
    Setting(
        "QUEUE_MAX_PER_PERSON",
        "queue_max_per_person",
        values.whole_number(1, 1000),
        "The same, of one person.",
    ),
    Setting("MAX_MESSAGE_CHARS", "max_message_chars", values.whole_number(1, 1_000_000), "Longest question."),
    Setting("LOG_LEVEL", "log_level", values.one_of("DEBUG", "INFO", "WARNING", "ERROR"), "What to log."),
    Setting("LOG_FILE", "log_file", values.PATH, "Writes the log to this file as well."),
    Setting("LOG_FORMAT", "log_format", values.one_of("console", "structured"), "structured: JSON, one a line."),
    Setting("METRICS", "metrics", values.one_of("auto", "on", "off"), "Whether /metrics answers."),
    Setting("AUTH", "auth", values.flag(refused=NO_ACCOUNTS), "Accounts; not there yet."),
    Setting("BEHIND_PROXY", "behind_proxy", values.NETWORKS, "Proxies whose X-Forwarded-* headers are believed."),
    Setting("BASE_PATH", "base_path", values.BASE_PATH, "Sub-path at which it serves."),
    Setting("ALLOWED_HOSTS", "allowed_hosts", values.HOSTS, "More names under which browsers may reach it."),
    Setting("DEMO", "demo", values.one_of("auto", "on", "off"), "The built-in demo talker."),
)
OLLAMA_HOST = Setting(
    "OLLAMA_HOST",
    "ollama_base_url",
    Kind(values.url_of_ollama_host, "an address such as 127.0.0.1, gpu:11434 or https://gpu"),
    "Ollama's own variable; used where OLLAMA_BASE_URL is not set.",
)
CONFIG_FILE = "QUART_CHAT_CONFIG"


def load_settings(environ: Mapping[str, str], *, cwd: Path | None = None) -> Settings:
    """The effective settings; relative paths are taken from `cwd` (default: the current directory).

    An empty variable counts as not set. Raises ConfigError, whose message names the variable, its value
    and what is allowed.
    """
    here = cwd or Path.cwd()
    texts = _file_texts(environ, here)
    texts |= {item.variable: (environ[item.variable].strip(), "") for item in SETTINGS if environ.get(item.variable)}
    parsed = {item.field: _parse(item, *texts[item.variable]) for item in SETTINGS if item.variable in texts}
    parsed.pop("", None)
    if "ollama_base_url" not in parsed and environ.get("OLLAMA_HOST"):
        parsed["ollama_base_url"] = _parse(OLLAMA_HOST, environ["OLLAMA_HOST"].strip())
    if parsed.get("history_file_path") and parsed.get("history_db_url"):
        raise ConfigError("HISTORY_FILE_PATH and HISTORY_DB_URL say the same thing: set one of them.")
    return _with_absolute_paths(Settings(**parsed), here)


def effective(settings: Settings) -> Iterator[tuple[str, str]]:
    """(variable, value) of every setting, as one would write it; passwords in URLs are hidden."""
    for item in SETTINGS:
        if item.field:
            yield item.variable, without_secrets(_written(getattr(settings, item.field)))


def without_secrets(text: str) -> str:
    """`text` with the user and password of every URL replaced by ***."""
    return re.sub(r"://[^/@\s]*@", "://***@", text)


def _file_texts(environ: Mapping[str, str], here: Path) -> dict[str, tuple[str, str]]:
    if not environ.get(CONFIG_FILE):
        return {}
    path = here / Path(environ[CONFIG_FILE]).expanduser()
    known = frozenset(item.variable for item in SETTINGS)
    return {name: (text, f" in {path}") for name, text in read_config_file(path, known).items() if text}


def _parse(item: Setting, text: str, where: str = "") -> Any:
    try:
        return item.kind.parse(text)
    except ValueError as error:
        shown = without_secrets(text[:200])
        allowed = error.why if isinstance(error, NotAllowedError) else f"allowed is {item.kind.allowed}"
        raise ConfigError(f'{item.variable} is "{shown}"{where}: {allowed}.') from error


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ",".join(value)
    return "" if value is None else str(value)


def _with_absolute_paths(settings: Settings, here: Path) -> Settings:
    url = settings.history_db_url
    return replace(
        settings,
        data_dir=here / settings.data_dir,
        log_file=str(here / settings.log_file) if settings.log_file else "",
        history_file_path=str(here / settings.history_file_path) if settings.history_file_path else "",
        history_db_url=DATABASE_URL_PREFIX + str(here / url.removeprefix(DATABASE_URL_PREFIX)) if url else "",
    )
