"""What people write, what models answer and what identifies anybody is in no line of the log and in no metric."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.misbehaviour import MISBEHAVIOURS
from tests.doubles.script import Script, Speaker
from tests.doubles.wire import Reply
from tests.e2e.processes import PRODUCT, Server, started

MODEL = "think:latest"


class Canaries:
    """A secret for every input; `sing` names those that a text repeats."""

    def __init__(self) -> None:
        self._by_name: dict[str, str] = {}

    def __call__(self, name: str) -> str:
        return self._by_name.setdefault(name, f"c{secrets.token_hex(7)}y")

    def sing(self, text: str) -> set[str]:
        return {name for name, secret in self._by_name.items() if secret in text}


@pytest.fixture
def canary() -> Canaries:
    return Canaries()


async def converse(http: httpx.AsyncClient, canary: Canaries, session_id: str) -> None:
    """Everything that works: as a program, as a page, in every field and header."""
    headers = {
        "Authorization": f"Bearer qc_{canary('token')}",
        "User-Agent": canary("user agent"),
        "Referer": f"http://127.0.0.1/{canary('referer')}",
        "X-Request-Id": f"not sane {canary('request id')}",
        "X-Api-Key": canary("api key"),
        "Cookie": f"qc_person={canary('person')}; session={canary('cookie')}",
    }
    body = {"title": canary("title"), "system_prompt": canary("system prompt"), "think": True, "model": MODEL}
    body["parameters"] = {"stop": [canary("stop word")]}  # type: ignore[assignment]
    await http.put(f"/api/history/{session_id}", json=body, headers=headers)
    await http.get("/api/history", params={"q": canary("search"), "token": canary("query")}, headers=headers)
    await http.post(f"/chat/{session_id}/draft", data={"content": canary("draft")}, headers=headers)
    question = {"content": canary("form"), "client_id": canary("client id")}
    await http.post(f"/chat/{session_id}/message?x={canary('form query')}", data=question, headers=headers)


async def misuse(http: httpx.AsyncClient, canary: Canaries, session_id: str) -> None:
    """Everything that is refused."""
    message = "/api/chat/message"
    await http.post(message, content=f'{{"content": "{canary("broken JSON")}')
    await http.post(message, json={"content": {"no": canary("wrong type")}})
    await http.post(message, json={"content": canary("wrong parameter"), "parameters": {"top_p": canary("top_p")}})
    await http.post(message, json={"content": canary("foreign"), "session_id": canary("unknown session")})
    await http.post(message, json={"content": "x"}, headers={"Origin": f"http://{canary('origin')}.test"})
    await http.get("/api/history", params={"limit": canary("limit")})
    await http.get("/", headers={"Host": f"{canary('host')}.test"})
    await http.get("/ws", params={"after": canary("no upgrade")})
    await http.post(
        f"/chat/{session_id}/message", content=canary("no form"), headers={"Content-Type": "multipart/form-data"}
    )
    await http.post(
        f"/chat/{session_id}",
        data={"temperature": canary("number"), "title": "\ud800".encode("utf-8", "surrogatepass")},
    )


async def use_sockets(server: Server, canary: Canaries, session_id: str) -> None:
    url = f"ws://127.0.0.1:{server.port}/ws?session={session_id}&after={canary('cursor')}&view={canary('view')}"
    async with websockets.connect(url, additional_headers={"Authorization": canary("socket token")}) as said:
        await said.send(json.dumps({"type": "message", "payload": {"content": canary("socket message")}}))
        await said.send(json.dumps({"type": canary("frame type")}))
        await said.send(canary("no frame"))
        await said.send(canary("bytes").encode())
        await said.send("")
        await said.send(json.dumps({"type": "stop", "payload": {"generation_id": canary("generation")}}))
        await said.send(json.dumps({"type": "hello", "payload": {"after": canary("hello")}}))
        async with asyncio.timeout(10):
            while json.loads(await said.recv())["payload"].get("event") not in ("idle", "stopped"):
                pass
    with suppress(websockets.InvalidStatus, websockets.ConnectionClosed):
        async with websockets.connect(f"ws://127.0.0.1:{server.port}/ws?session={canary('no session')}") as lost:
            await lost.recv()


def speak_nonsense(server: Server, canary: Canaries) -> None:
    """Bytes that are no HTTP, on connections of their own."""
    for lines in (
        canary("no HTTP"),
        f"GET /?{canary('raw query')} HTTP/1.1\r\n{canary('bad header')}\r\n\r\n",
        f"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{canary('HTTP 2')}",
        f"POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{canary('half a body')}",
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
            client.sendall(f"{lines}\r\n\r\n".encode())
            client.shutdown(socket.SHUT_WR)
            with suppress(OSError):
                while client.recv(65_536):
                    pass


def blurting(canary: Canaries) -> dict[str, Callable[[Speaker, Reply], Any]]:
    """Ways in which an engine says something that is no answer, each with model output in it."""

    async def no_json(speaker: Speaker, reply: Reply) -> None:
        await speaker.say(1)
        await reply.part(f"{canary('answer, no JSON')}\n".encode())
        reply.end()

    async def other_json(speaker: Speaker, reply: Reply) -> None:
        await speaker.say(1)
        await reply.part(b'{"message": {"content": ["%b"]}}\n' % canary("answer, other JSON").encode())
        reply.end()

    async def no_chunk(speaker: Speaker, reply: Reply) -> None:
        await speaker.say(1)
        reply._chunked = False
        await reply.part(f"{canary('answer, no chunk')}\r\n".encode())
        reply.break_off()

    async def no_http(speaker: Speaker, reply: Reply) -> None:
        await reply.part(f"{canary('answer, no HTTP')}\r\n\r\n".encode())
        reply.break_off()

    return {"no_json": no_json, "other_json": other_json, "no_chunk": no_chunk, "no_http": no_http}


async def asked(http: httpx.AsyncClient, canary: Canaries, name: str) -> str:
    """A question in a session of its own, answered or failed when this returns: the session."""
    sent = (await http.post("/api/chat/message", json={"content": canary(name), "model": MODEL})).json()
    session_id: str = sent["session_id"]
    async with asyncio.timeout(20):
        while True:
            history = (await http.get(f"/api/history/{session_id}")).json()
            if history["messages"][-1]["state"] != "generating":
                return session_id


@pytest.mark.parametrize("log_format", ["console", "structured"])
async def test_no_canary_sings_in_log_or_metrics(
    tmp_path: Path, fake_ollama: FakeOllama, canary: Canaries, monkeypatch: pytest.MonkeyPatch, log_format: str
) -> None:
    engine = fake_ollama.url.replace("http://", f"http://me:{canary('engine password')}@")
    words = [f"{canary('answer')} ", "and ", "more "]
    fake_ollama.answer_always(Script(tokens=words, thinking=[canary("thoughts")]))
    log = tmp_path / "log"
    settings = {"LOG_LEVEL": "DEBUG", "LOG_FORMAT": log_format, "LOG_FILE": str(log), "METRICS": "on"}
    settings |= {"OLLAMA_BASE_URL": engine, "OLLAMA_RETRIES": "0", "RATE_LIMIT_ENABLED": "off"}
    async with (
        started(tmp_path, PRODUCT, **settings) as server,
        httpx.AsyncClient(base_url=server.url, timeout=20) as http,
    ):
        session_id = await asked(http, canary, "message")
        await converse(http, canary, session_id)
        await misuse(http, canary, session_id)
        for name, blurt in blurting(canary).items():
            monkeypatch.setitem(MISBEHAVIOURS, name, blurt)
            fake_ollama.misbehave(name)
            await asked(http, canary, f"message before {name}")
        await use_sockets(server, canary, await asked(http, canary, "another message"))
        await asyncio.to_thread(speak_nonsense, server, canary)
        metrics = (await http.get("/metrics")).text
        page = (await http.get(f"/chat/{session_id}")).text
        _, _, errors = await server.stop()
    told = log.read_text()
    assert told in errors
    assert "quart_chat_generations_total" in metrics
    assert told.count("generation") >= 12, "generations were logged"
    assert canary.sing(errors + "\n".join(server.lines) + metrics) == set()
    assert "engine password" not in canary.sing(page), "the page names the engine, not how we sign in there"
    assert canary.sing((tmp_path / "data" / "quart-chat.db").read_bytes().decode("latin-1")) >= {"message", "answer"}
