"""Settings: environment over file over defaults, every value checked, every refusal explained."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import msgspec
import pytest

from quart_chat.config import OLLAMA_HOST, SETTINGS, Settings, effective, load_settings
from quart_chat.errors import ConfigError

GOOD = {
    "API_HOST": ("0.0.0.0", "api_host", "0.0.0.0"),
    "API_PORT": ("8080", "api_port", 8080),
    "API_DEBUG": ("True", "api_debug", True),
    "API_WORKERS": ("1", "", None),
    "DATA_DIR": ("/var/lib/chat", "data_dir", Path("/var/lib/chat")),
    "OLLAMA_BASE_URL": ("http://gpu:11434/", "ollama_base_url", "http://gpu:11434"),
    "OLLAMA_DEFAULT_MODEL": ("llama3.2", "ollama_default_model", "llama3.2"),
    "OLLAMA_TIMEOUT": ("30", "ollama_timeout_s", 30.0),
    "OLLAMA_RETRIES": ("0", "ollama_retries", 0),
    "OLLAMA_NUM_PARALLEL": ("4", "ollama_num_parallel", 4),
    "OLLAMA_POLL": ("1.5", "ollama_poll_s", 1.5),
    "MODEL_DEFAULT_TEMPERATURE": ("0", "model_default_temperature", 0.0),
    "MODEL_DEFAULT_MAX_TOKENS": ("1000", "model_default_max_tokens", 1000),
    "MODEL_DEFAULT_TOP_P": ("1.0", "model_default_top_p", 1.0),
    "HISTORY_STORAGE_TYPE": ("Memory", "history_storage_type", "memory"),
    "HISTORY_FILE_PATH": ("/srv/chat.db", "history_file_path", "/srv/chat.db"),
    "HISTORY_DB_URL": ("sqlite:////srv/chat.db", "history_db_url", "sqlite:////srv/chat.db"),
    "HISTORY_MAX_CONVERSATIONS": ("1000", "history_max_conversations", 1000),
    "RATE_LIMIT_ENABLED": ("no", "rate_limit_enabled", False),
    "RATE_LIMIT_REQUESTS": ("10", "rate_limit_requests", 10),
    "RATE_LIMIT_STREAMS": ("2", "rate_limit_streams", 2),
    "CONNECTIONS_MAX": ("500", "connections_max", 500),
    "CONNECTIONS_MAX_PER_ADDRESS": ("50", "connections_max_per_address", 50),
    "SOCKETS_MAX_PER_PERSON": ("10", "sockets_max_per_person", 10),
    "QUEUE_MAX": ("7", "queue_max", 7),
    "QUEUE_MAX_PER_PERSON": ("1", "queue_max_per_person", 1),
    "MAX_MESSAGE_CHARS": ("100", "max_message_chars", 100),
    "LOG_LEVEL": ("debug", "log_level", "DEBUG"),
    "LOG_FILE": ("/tmp/chat.log", "log_file", "/tmp/chat.log"),
    "LOG_FORMAT": ("structured", "log_format", "structured"),
    "METRICS": ("ON", "metrics", "on"),
    "AUTH": ("off", "auth", False),
    "BEHIND_PROXY": ("127.0.0.1, 10.0.0.0/8", "behind_proxy", "127.0.0.1/32,10.0.0.0/8"),
    "BASE_PATH": ("chat/", "base_path", "/chat"),
    "ALLOWED_HOSTS": ("Chat.example, box.lan", "allowed_hosts", ("chat.example", "box.lan")),
    "DEMO": ("OFF", "demo", "off"),
}
BAD = {
    "API_HOST": "http://localhost",
    "API_PORT": "65536",
    "API_DEBUG": "maybe",
    "API_WORKERS": "4",
    "CONNECTIONS_MAX": "1",
    "CONNECTIONS_MAX_PER_ADDRESS": "0",
    "SOCKETS_MAX_PER_PERSON": "0",
    "OLLAMA_BASE_URL": "localhost:11434",
    "OLLAMA_TIMEOUT": "0",
    "OLLAMA_RETRIES": "-1",
    "OLLAMA_NUM_PARALLEL": "0",
    "OLLAMA_POLL": "nan",
    "MODEL_DEFAULT_TEMPERATURE": "2.1",
    "MODEL_DEFAULT_MAX_TOKENS": "1.5",
    "MODEL_DEFAULT_TOP_P": "x",
    "HISTORY_STORAGE_TYPE": "file",
    "HISTORY_DB_URL": "postgresql://localhost/chat",
    "HISTORY_MAX_CONVERSATIONS": "-1",
    "RATE_LIMIT_ENABLED": "2",
    "RATE_LIMIT_REQUESTS": "0",
    "RATE_LIMIT_STREAMS": "0",
    "QUEUE_MAX": "0",
    "QUEUE_MAX_PER_PERSON": "0",
    "MAX_MESSAGE_CHARS": "0",
    "LOG_LEVEL": "loud",
    "LOG_FORMAT": "xml",
    "METRICS": "maybe",
    "AUTH": "on",
    "BEHIND_PROXY": "10.0.0.1/8",
    "BASE_PATH": "/a b",
    "ALLOWED_HOSTS": "chat.example:8000",
    "DEMO": "perhaps",
}
ANYTHING_GOES = {"DATA_DIR", "OLLAMA_DEFAULT_MODEL", "HISTORY_FILE_PATH", "LOG_FILE"}


def refusal(environ: dict[str, str], cwd: Path | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(environ, cwd=cwd)
    return caught.value.message


def test_every_variable_is_tried_with_a_good_and_a_bad_value() -> None:
    variables = {item.variable for item in SETTINGS}
    assert set(GOOD) == variables
    assert set(BAD) | ANYTHING_GOES == variables


def test_every_field_of_settings_can_be_set() -> None:
    fields = {field.name for field in msgspec.structs.fields(Settings)}
    assert {item.field for item in SETTINGS if item.field} == fields


@pytest.mark.parametrize("variable", GOOD)
def test_a_good_value_arrives_in_its_field(variable: str) -> None:
    text, field, value = GOOD[variable]
    settings = load_settings({variable: text})
    assert not field or getattr(settings, field) == value


@pytest.mark.parametrize("variable", BAD)
def test_a_bad_value_is_refused_with_variable_and_value(variable: str) -> None:
    message = refusal({variable: BAD[variable]})
    assert message.startswith(f"{variable} is ")
    assert message.endswith(".")
    assert "***" in message or BAD[variable] in message


def test_defaults_hold_when_nothing_or_only_empty_values_are_set(tmp_path: Path) -> None:
    expected = Settings(data_dir=tmp_path / "data")
    assert load_settings({}, cwd=tmp_path) == expected
    assert load_settings(dict.fromkeys(GOOD, ""), cwd=tmp_path) == expected


def test_what_cannot_be_on_yet_says_why() -> None:
    assert "accounts are not there yet" in refusal({"AUTH": "on"})
    assert "one process by design" in refusal({"API_WORKERS": "2"})
    assert "SQLite" in refusal({"HISTORY_STORAGE_TYPE": "file"})
    assert "PostgreSQL is not supported yet" in refusal({"HISTORY_DB_URL": "postgres://h/d"})


def test_a_password_is_never_repeated() -> None:
    assert "secret" not in refusal({"HISTORY_DB_URL": "postgresql://me:secret@host/db"})
    settings = load_settings({"OLLAMA_BASE_URL": "https://me:secret@gpu"})
    assert settings.ollama_base_url == "https://me:secret@gpu"
    assert "secret" not in str(list(effective(settings)))


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("gpu", "http://gpu:11434"),
        ("gpu:1234", "http://gpu:1234"),
        (":1234", "http://127.0.0.1:1234"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:1234", "http://127.0.0.1:1234"),
        ("[::]:1234", "http://127.0.0.1:1234"),
        ("::1", "http://[::1]:11434"),
        ("http://gpu", "http://gpu:80"),
        ("https://gpu", "https://gpu:443"),
        ("https://gpu/ollama/", "https://gpu:443/ollama"),
    ],
)
def test_ollama_host_is_read_as_ollama_reads_it(text: str, url: str) -> None:
    assert load_settings({"OLLAMA_HOST": text}).ollama_base_url == url


@pytest.mark.parametrize("text", ["gpu:http", "gpu:99999", "ftp://gpu", "a b"])
def test_an_impossible_ollama_host_is_refused(text: str) -> None:
    assert refusal({"OLLAMA_HOST": text}).startswith("OLLAMA_HOST is")


def test_ollama_base_url_wins_over_ollama_host_wherever_it_is_set(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('ollama_base_url = "http://file:1"')
    from_file = {"OLLAMA_HOST": "host", "QUART_CHAT_CONFIG": "c.toml"}
    assert load_settings(from_file, cwd=tmp_path).ollama_base_url == "http://file:1"
    from_environment = {"OLLAMA_HOST": "host", "OLLAMA_BASE_URL": "http://env:2"}
    assert load_settings(from_environment).ollama_base_url == "http://env:2"


@pytest.mark.parametrize("url", ["http://localhost:11434/v1", "http://localhost:11434/v1/"])
def test_the_openai_style_address_means_the_same_engine(url: str) -> None:
    assert load_settings({"OLLAMA_BASE_URL": url}).ollama_base_url == "http://localhost:11434"


def test_environment_wins_over_file_and_file_over_default(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(
        'API_PORT = 9000\nqueue_max = 5\nrate_limit_enabled = false\nallowed_hosts = ["a.lan", "b.lan"]\n'
    )
    settings = load_settings({"QUART_CHAT_CONFIG": "c.toml", "API_PORT": "9001"}, cwd=tmp_path)
    assert (settings.api_port, settings.queue_max, settings.rate_limit_enabled) == (9001, 5, False)
    assert settings.allowed_hosts == ("a.lan", "b.lan")
    assert settings.api_host == Settings().api_host


def test_a_yaml_file_with_sections_is_understood(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "api:\n  host: localhost\n  port: 11434\n  timeout: 30\n"
        "models:\n  default: llama2\n  parameters:\n    temperature: 0.7\n    max_length: 2000\n"
        "storage:\n  type: sqlite\n  path: ~/.ollama_chat/history.db\n"
    )
    settings = load_settings({"QUART_CHAT_CONFIG": str(tmp_path / "c.yaml")})
    assert settings.ollama_base_url == "http://localhost:11434"
    assert (settings.ollama_timeout_s, settings.ollama_default_model) == (30, "llama2")
    assert (settings.model_default_temperature, settings.model_default_max_tokens) == (0.7, 2000)
    assert settings.history_storage_type == "database"
    assert settings.database_path == Path("~/.ollama_chat/history.db").expanduser()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("c.toml", "api_prot = 1", '"api_prot" in'),
        ("c.toml", "api_port = 'x'", "API_PORT is"),
        ("c.toml", "api_port = [1]", "must be a text"),
        ("c.toml", "= 1", "not valid TOML"),
        ("c.yaml", "a: [", "not valid YAML"),
        ("c.yaml", "- 1", "must hold names and values"),
        ("c.toml", b"\xff", "not UTF-8"),
    ],
)
def test_a_wrong_file_is_refused_with_its_path(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    message = refusal({"QUART_CHAT_CONFIG": str(path)})
    assert said in message
    assert str(path) in message


def test_yaml_without_pyyaml_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "c.yml").write_text("api_port: 1")
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert "PyYAML" in refusal({"QUART_CHAT_CONFIG": "c.yml"}, cwd=tmp_path)


def test_relative_paths_are_taken_from_the_start_directory(tmp_path: Path) -> None:
    settings = load_settings({"DATA_DIR": "d", "LOG_FILE": "l", "HISTORY_FILE_PATH": "h.db"}, cwd=tmp_path)
    assert settings.data_dir == tmp_path / "d"
    assert settings.log_file == str(tmp_path / "l")
    assert settings.database_path == tmp_path / "h.db"


def test_the_database_lies_in_the_data_directory_unless_said_otherwise(tmp_path: Path) -> None:
    assert load_settings({}, cwd=tmp_path).database_path.parent == tmp_path / "data"
    by_url = load_settings({"HISTORY_DB_URL": "sqlite:///x/chat.db"}, cwd=tmp_path)
    assert by_url.database_path == tmp_path / "x" / "chat.db"
    assert "set one of them" in refusal({"HISTORY_DB_URL": "sqlite:///a", "HISTORY_FILE_PATH": "b"})


def test_effective_settings_can_be_loaded_again() -> None:
    settings = load_settings({variable: text for variable, (text, _, _) in GOOD.items() if "DB_URL" not in variable})
    assert load_settings(dict(effective(settings))) == settings


def test_docs_list_every_variable_with_its_default_and_nothing_else() -> None:
    text = (Path(__file__).parents[1] / "docs" / "configuration.md").read_text()
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \|([^|]*)\|", text, re.MULTILINE))
    defaults = dict(effective(Settings()))
    expected = {item.variable: defaults.get(item.variable, "1") for item in SETTINGS}
    others = {OLLAMA_HOST.variable: "", "QUART_CHAT_CONFIG": ""}
    assert {name: default.strip().strip("`") for name, default in rows.items()} == expected | others
