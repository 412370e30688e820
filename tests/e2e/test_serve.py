"""The process: what starts, what is refused in one sentence, and how it stops whatever hangs on it."""

from __future__ import annotations

import asyncio
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.processes import PRODUCT, connected, ended, open_socket, started, stuck_socket

LONGEST_STOP_S = 3.0
POLITE = 90
STUCK = 10


def content(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


async def test_sigterm_ends_it_in_time_with_code_0_and_tells_every_socket_1012(tmp_path: Path) -> None:
    async with started(tmp_path) as server:
        with ExitStack() as stack:
            polite = [await open_socket(server, "/ws/room", compression=None) for _ in range(POLITE)]
            for _ in range(STUCK):
                stack.enter_context(stuck_socket(server, "/ws/flood"))
            code, seconds, errors = await server.stop()
            for client in polite:
                await client.wait_closed()
            assert {client.close_code for client in polite} == {1012}
            assert (code, "Traceback" in errors) == (0, False), errors
            assert seconds <= LONGEST_STOP_S
            assert server.lines[-1] == "closed", "services were not closed"


async def test_ctrl_c_does_the_same_and_at_once_when_nobody_is_stuck(tmp_path: Path) -> None:
    async with started(tmp_path) as server:
        client = await open_socket(server, "/ws/room")
        code, seconds, errors = await server.stop(signal.SIGINT)
        await client.wait_closed()
        assert (code, errors, client.close_code) == (0, "", 1012)
        assert seconds <= 1.0


async def test_idle_and_half_sent_connections_do_not_delay_the_stop(tmp_path: Path) -> None:
    async with started(tmp_path) as server, connected(server), connected(server) as (reader, half):
        half.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200" in await reader.readline()
        half.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        code, seconds, _ = await server.stop()
        assert code == 0
        assert seconds <= 1.5


async def test_a_drain_that_hangs_is_left_behind_and_services_still_close(tmp_path: Path) -> None:
    async with started(tmp_path, STANDIN_HANGS="drain") as server:
        client = await open_socket(server, "/ws/room")
        code, seconds, _ = await server.stop()
        assert (code, server.lines[-1]) == (0, "closed")
        assert seconds <= LONGEST_STOP_S
        await client.wait_closed()


async def test_when_closing_hangs_the_deadline_ends_the_process_and_says_so(tmp_path: Path) -> None:
    async with started(tmp_path, STANDIN_HANGS="close") as server:
        code, seconds, errors = await server.stop()
        assert code == 1
        assert seconds <= LONGEST_STOP_S + 0.2
        assert "did not stop within" in errors


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    async with started(tmp_path, STANDIN_HANGS="close") as server:
        await server.line_with("Ollama")
        client = await open_socket(server, "/ws/room")
        server.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(LONGEST_STOP_S):
            await client.wait_closed()
        code, seconds, _ = await server.stop()
        assert code == 128 + signal.SIGTERM
        assert seconds <= 0.5


async def test_a_second_start_on_the_same_data_is_refused_in_one_sentence_and_changes_nothing(
    tmp_path: Path,
) -> None:
    async with started(tmp_path) as server:
        before = content(tmp_path)
        code, out, errors = await ended(tmp_path)
        assert (code, out, len(errors)) == (1, [], 1)
        assert f"another quart-chat (process {server.process.pid})" in errors[0]
        assert content(tmp_path) == before


async def test_a_database_outside_the_data_directory_is_claimed_as_well(tmp_path: Path) -> None:
    database = str(tmp_path / "elsewhere" / "chat.db")
    async with started(tmp_path, HISTORY_FILE_PATH=database):
        code, _, errors = await ended(tmp_path, HISTORY_FILE_PATH=database, DATA_DIR=str(tmp_path / "other data"))
        assert code == 1
        assert "elsewhere" in errors[0]


async def test_killed_it_leaves_no_lock_behind(tmp_path: Path) -> None:
    async with started(tmp_path) as server:
        await server.stop(signal.SIGKILL)
    async with started(tmp_path) as server:
        assert (await server.stop())[0] == 0


async def test_a_taken_port_is_told_before_anything_is_opened(tmp_path: Path) -> None:
    async with started(tmp_path) as server:
        code, out, errors = await ended(tmp_path, API_PORT=str(server.port), DATA_DIR=str(tmp_path / "other data"))
        assert (code, out, len(errors)) == (1, [], 1)
        assert f"port {server.port} on 127.0.0.1 is taken" in errors[0]


@pytest.mark.parametrize(
    ("variables", "word"),
    [
        ({"API_PORT": "http"}, "API_PORT"),
        ({"API_HOST": "192.0.2.1"}, "API_HOST"),
        ({"API_HOST": "no.such.host.invalid"}, "API_HOST"),
        ({"DATA_DIR": "/dev/null/data"}, "cannot be used for data"),
        ({"LOG_FILE": "/dev/null/log"}, "LOG_FILE"),
        ({"AUTH": "on"}, "AUTH"),
        ({"QUART_CHAT_CONFIG": "missing.toml"}, "QUART_CHAT_CONFIG"),
    ],
)
async def test_what_cannot_work_is_one_sentence_on_stderr_without_traceback(
    tmp_path: Path, variables: dict[str, str], word: str
) -> None:
    code, out, errors = await ended(tmp_path, PRODUCT, **variables)
    assert code in (1, 2)
    assert (out, len(errors)) == ([], 1)
    assert word in errors[0]


async def test_it_says_where_it_listens_where_data_lies_and_which_engine_it_found(tmp_path: Path) -> None:
    async with started(tmp_path) as server:
        await server.line_with("Ollama 0.0.0 at http://example.test, 3 models")
        said = "\n".join(server.lines)
        assert f"listens at http://127.0.0.1:{server.port}/" in said
        assert f"Data: {tmp_path / 'data'}" in said


async def test_a_silent_engine_does_not_delay_the_start_and_is_named(tmp_path: Path) -> None:
    async with started(
        tmp_path, STANDIN_HANGS="engine_summary", OLLAMA_BASE_URL="http://me:secret@127.0.0.1:9"
    ) as server:
        async with connected(server):
            line = await server.line_with("Ollama")
        assert "has not answered yet" in line
        assert "secret" not in line


async def test_the_product_itself_stops_in_time_with_open_tabs_and_stuck_ones(tmp_path: Path) -> None:
    async with started(tmp_path, PRODUCT) as server:
        with ExitStack() as stack:
            tabs = [await open_socket(server, "/ws", compression=None) for _ in range(POLITE)]
            for _ in range(STUCK):
                stack.enter_context(stuck_socket(server, "/ws"))
            code, seconds, errors = await server.stop()
            for tab in tabs:
                await tab.wait_closed()
            assert {tab.close_code for tab in tabs} == {1012}
            assert (code, "Traceback" in errors) == (0, False), errors
            assert seconds <= LONGEST_STOP_S
    async with started(tmp_path, PRODUCT) as server:
        assert (await server.stop())[0] == 0
