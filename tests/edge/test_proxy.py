"""Behind a proxy: its headers are believed, anybody else's are not; and a sub-path is served whole."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from quart_chat.edge.addresses import Networks, counted_as, parse_address
from quart_chat.edge.proxy import BehindProxy
from tests.doubles.fake_ollama import FakeOllama
from tests.edge.wire import ask, ask_for_socket, request
from tests.web.conftest import open_site

PROXY, STRANGER = "127.0.0.2", "127.0.0.3"
OUTSIDE = "chat.example"


async def seen(client: str, *headers: tuple[str, str], kind: str = "http", proxies: str = "10.0.0.0/8") -> Any:
    """The scope below the proxy layer of what `client` sent."""
    found: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.update(scope)

    raw = [(b"host", b"inner:8000"), *((name.encode(), value.encode()) for name, value in headers)]
    scheme = "ws" if kind == "websocket" else "http"
    scope: Any = {"type": kind, "client": (client, 5), "scheme": scheme, "headers": raw}
    await BehindProxy(app, Networks(proxies))(scope, None, None)  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("1.1.1.1, 203.0.113.7", "203.0.113.7"),
        ("1.1.1.1, 203.0.113.7, 10.1.1.1", "203.0.113.7"),
        ("10.2.2.2, 10.1.1.1", "10.2.2.2"),
        ("203.0.113.7:4711", "203.0.113.7"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("evil, 10.1.1.1", "10.1.1.1"),
        ("evil", "10.0.0.1"),
        ("", "10.0.0.1"),
    ],
)
async def test_the_client_is_the_last_that_is_not_a_proxy_of_ours(forwarded: str, client: str) -> None:
    assert (await seen("10.0.0.1", ("x-forwarded-for", forwarded)))["client"][0] == client


async def test_scheme_and_host_are_what_the_nearest_proxy_says() -> None:
    told = ("x-forwarded-proto", "http, https"), ("x-forwarded-host", "evil.example, chat.example")
    page = await seen("10.0.0.1", *told)
    assert (page["scheme"], page["headers"]) == ("https", [(b"host", b"chat.example")])
    assert (await seen("10.0.0.1", *told, kind="websocket"))["scheme"] == "wss"
    assert (await seen("10.0.0.1", ("x-forwarded-proto", "gopher")))["scheme"] == "http"


@pytest.mark.parametrize("proxies", ["", "10.0.0.0/8"])
async def test_of_anybody_else_nothing_is_believed_and_nothing_is_left(proxies: str) -> None:
    names = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "x-forwarded-prefix")
    got = await seen("192.0.2.1", *((name, "203.0.113.7") for name in names), proxies=proxies)
    assert (got["client"], got["scheme"]) == (("192.0.2.1", 5), "http")
    assert got["headers"] == [(b"host", b"inner:8000")]


def test_an_ipv6_client_is_counted_by_its_network() -> None:
    assert counted_as("2001:db8::1") == counted_as("2001:db8::ffff:1") != counted_as("2001:db8:0:1::1")
    assert counted_as("::ffff:10.0.0.1") == counted_as("10.0.0.1") != counted_as("10.0.0.2")
    assert parse_address("nobody") is None


async def test_behind_https_cookies_are_secure_and_the_origin_is_the_outer_one(
    tmp_path: Path, fake_ollama: FakeOllama
) -> None:
    settings = {"behind_proxy": f"{PROXY}/32", "allowed_hosts": (OUTSIDE,)}
    told = ("X-Forwarded-Proto: https", "X-Forwarded-For: 203.0.113.7", f"X-Forwarded-Host: {OUTSIDE}")
    async with open_site(tmp_path, fake_ollama, **settings) as site:
        session = await site.new_session()
        page = request("GET", f"/chat/{session.id}", *told)
        assert "secure" in (await ask(site.port, page, source=PROXY)).headers["set-cookie"].lower()
        assert "secure" not in (await ask(site.port, page, source=STRANGER)).headers["set-cookie"].lower()
        for origin, status in ((f"https://{OUTSIDE}", 303), (f"http://{OUTSIDE}", 403), ("http://127.0.0.1", 403)):
            posted = request("POST", "/chat", *told, f"Origin: {origin}")
            assert (await ask(site.port, posted, source=PROXY)).status == status


async def test_limits_count_who_stands_behind_the_proxy(tmp_path: Path, fake_ollama: FakeOllama) -> None:
    async with open_site(tmp_path, fake_ollama, behind_proxy=f"{PROXY}/32", rate_limit_requests=1) as site:

        async def status(client: str, source: str = PROXY) -> int:
            data = request("POST", "/nothing/here", f"X-Forwarded-For: {client}")
            return (await ask(site.port, data, source=source)).status

        assert [await status("203.0.113.7") for _ in range(2)] == [404, 429]
        assert await status("203.0.113.8") == 404
        assert [await status(f"203.0.113.{number}", STRANGER) for number in range(2)] == [404, 429]


async def test_a_sub_path_has_pages_files_the_api_and_the_socket(tmp_path: Path, fake_ollama: FakeOllama) -> None:
    async with open_site(tmp_path, fake_ollama, base_path="/deep/chat") as site:
        page = await site.http.get("/", follow_redirects=True)
        assert (page.status_code, page.url.path.startswith("/deep/chat/chat/")) == (200, True)
        links = re.findall(r'(?:href|src|action|hx-post|data-draft|hx-ws[^=]*)="(/[^"]*)"', page.text)
        assert links
        assert [link for link in links if not link.startswith("/deep/chat/")] == []
        for link in links:
            if "/assets/" in link:
                assert (await ask(site.port, request("GET", link))).status == 200
        assert (await site.http.get("/api/health")).status_code == 200
        wrong = await ask(site.port, request("GET", "/deep/chat/api/none"))
        assert (wrong.status, json.loads(wrong.body)["code"]) == (404, "NOT_FOUND")
        assert (await ask(site.port, request("GET", "/api/health"))).status == 404
        assert (await ask_for_socket(site.port, "/ws")).status == 404
        async with site.socket() as socket:
            assert (await socket.receive())["type"] == "status"
        content = b"x" * 100_000
        large = request("POST", "/deep/chat/api/chat/message", body=json.dumps({"content": content.decode()}).encode())
        assert (await ask(site.port, large)).status == 400
