"""Who may speak to the server at all, and the headers that every answer carries."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from quart import Quart
from werkzeug.routing import Rule

from quart_chat.entities import OWNER_ID
from tests.web.conftest import Site

REQUIRED = {
    "content-security-policy",
    "x-content-type-options",
    "referrer-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "cache-control",
}
HOSTS_REFUSED = ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "8.8.8.8", "localhost.evil.example", ""]
HOSTS_ACCEPTED = ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:80", "192.168.1.7:8000", "box.local", "a.localhost"]


def origins(port: int) -> list[str]:
    """What pages elsewhere, files, extensions and liars send."""
    return [
        "http://evil.example",
        "null",
        "",
        "file://",
        f"http://127.0.0.1:{port + 1}",
        "http://127.0.0.1",
        f"http://127.0.0.1:{port}.evil.example",
        f"http://user@127.0.0.1:{port}",
        f"http://localhost:{port}",
        f"ftp://127.0.0.1:{port}",
        "chrome-extension://abcdef",
        f"http://127.0.0.1:{port}, http://evil.example",
        "http://[",
        "http://127.0.0.1:port",
    ]


@pytest.mark.parametrize("host", HOSTS_REFUSED)
async def test_a_name_that_is_not_ours_is_421(site: Site, host: str) -> None:
    response = await site.http.get("/api/health", headers={"Host": host})
    assert response.status_code in (400, 421)
    if host:
        assert response.json()["code"] == "MISDIRECTED"


@pytest.mark.parametrize("host", HOSTS_ACCEPTED)
async def test_a_name_of_this_machine_or_its_network_is_served(site: Site, host: str) -> None:
    assert (await site.http.get("/api/health", headers={"Host": host})).status_code == 200


async def test_a_page_elsewhere_can_change_nothing(site: Site) -> None:
    session = await site.new_session()
    rows = await site.rows()
    for origin in origins(site.port):
        for method, path, form in (
            ("POST", "/chat", {}),
            ("POST", f"/chat/{session.id}/message", {"content": "x"}),
            ("POST", f"/chat/{session.id}/delete", {}),
            ("DELETE", f"/api/history/{session.id}", {}),
            ("POST", "/api/chat/message", {}),
        ):
            response = await site.http.request(method, path, data=form or None, headers={"Origin": origin})
            assert response.status_code == 403, (origin, path)
    assert await site.rows() == rows


@pytest.mark.parametrize(("fetch_site", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 303)])
async def test_without_origin_the_browsers_own_word_counts(site: Site, fetch_site: str, status: int) -> None:
    response = await site.http.post("/chat", headers={"Sec-Fetch-Site": fetch_site})
    assert response.status_code == status


async def test_our_own_page_and_programs_may(site: Site) -> None:
    own = f"http://127.0.0.1:{site.port}"
    assert (await site.http.post("/chat", headers={"Origin": own})).status_code == 303
    assert (await site.http.post("/chat")).status_code == 303


async def test_a_socket_of_a_page_elsewhere_is_refused_before_the_upgrade(site: Site) -> None:
    for origin in origins(site.port):
        assert await handshake(site, f"Origin: {origin}") == 403, origin
    assert await handshake(site, "Host: evil.example") == 421
    assert await handshake(site, f"Origin: http://127.0.0.1:{site.port}") == 101
    assert await handshake(site) == 101


async def handshake(site: Site, header: str = "") -> int:
    """The status with which an upgrade is answered."""
    host = "" if header.startswith("Host:") else f"Host: 127.0.0.1:{site.port}"
    lines = [
        "GET /ws HTTP/1.1",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        *(line for line in (host, header) if line),
        "",
        "",
    ]
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    try:
        writer.write("\r\n".join(lines).encode())
        async with asyncio.timeout(5):
            return int((await reader.readline()).split()[1])
    finally:
        writer.transport.abort()


def filled(rule: Rule, names: dict[str, str]) -> str:
    path = rule.rule
    for argument in rule.arguments:
        path = path.replace(f"<{argument}>", names.get(argument, "nothing"))
    return path


def requests(app: Quart, names: dict[str, str]) -> Iterator[tuple[str, str]]:
    for rule in app.url_map.iter_rules():
        if not rule.websocket:
            for method in sorted(rule.methods or ()):
                yield method, filled(rule, names)


async def test_every_answer_of_every_route_carries_the_security_headers(site: Site) -> None:
    session = await site.new_session()
    turn = await site.ask(session)
    await site.ended(turn)
    names = {"session_id": session.id, "message_id": turn.answer.id, "name": "favicon.svg"}
    others = [("GET", "/nothing"), ("PATCH", "/chat"), ("GET", "/static/icons/none"), ("POST", "/api/chat/message")]
    asked = sorted([*requests(site.app, names), *others])
    for method, path in asked:
        response = await site.http.request(method, path)
        missing = REQUIRED - set(response.headers)
        assert not missing, f"{method} {path} ({response.status_code}) lacks {missing}"
        assert response.status_code < 500, f"{method} {path}"
    refused = await site.http.get("/", headers={"Host": "evil.example"})
    assert set(refused.headers) >= REQUIRED
    await site.idle()


async def test_the_policy_allows_no_inline_code_and_no_frame_and_names_our_socket(site: Site) -> None:
    policy = (await site.http.get("/api/health")).headers["content-security-policy"]
    assert "unsafe" not in policy
    for part in ("default-src 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"):
        assert part in policy
    assert f"ws://127.0.0.1:{site.port}" in policy


async def test_a_head_and_a_get_change_nothing(site: Site) -> None:
    """Besides `/`, which on the first visit begins the first chat."""
    session = await site.new_session()
    await site.ended(await site.ask(session))
    rows, before = await site.rows(), await site.storage.get_session(session.id, OWNER_ID)
    names = {"session_id": session.id, "name": "favicon.svg"}
    for method, path in requests(site.app, names):
        if method in ("GET", "HEAD", "OPTIONS"):
            await site.http.request(method, path)
    assert await site.rows() == rows
    assert await site.storage.get_session(session.id, OWNER_ID) == before
