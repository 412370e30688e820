"""The security headers are on every answer there is."""

from __future__ import annotations

import re

import pytest

from tests.edge.wire import Answer, ask, ask_for_socket, request
from tests.web.conftest import Site

EXPECTED = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def check(got: Answer) -> None:
    assert {name: got.headers.get(name) for name in EXPECTED} == EXPECTED
    policy = got.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy
    assert "server" not in got.headers


async def test_every_route_with_every_method(site: Site) -> None:
    session = await site.new_session()
    for rule in site.app.url_map.iter_rules():
        path = re.sub(r"<[^>]+>", session.id, rule.rule)
        if rule.websocket:
            check(await ask_for_socket(site.port, path, "Origin: null"))
            continue
        for method in sorted(rule.methods or ()):
            check(await ask(site.port, request(method, path, "Connection: close")))


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request("GET", "/nothing/here"), 404),
        (request("DELETE", "/"), 405),
        (request("GET", "/", host="evil.example"), 421),
        (request("POST", "/chat", "Origin: null"), 403),
        (request("POST", "/chat", body=b"x" * 70_000), 413),
        (request("POST", "/chat", "Content-Length: 99999999999"), 413),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", 431),
        (b"PRI * HTTP/2.0\r\n\r\n", 505),
    ],
    ids=lambda value: value if isinstance(value, int) else "",
)
async def test_refusals_whoever_utters_them(site: Site, data: bytes, status: int) -> None:
    got = await ask(site.port, data)
    assert got.status == status
    check(got)


@pytest.mark.parametrize(
    ("headers", "path", "status"),
    [
        (("Origin: https://evil.example",), "/ws", 403),
        ((), "/no/such/socket", 404),
        (("Sec-WebSocket-Version: 12",), "/ws", 400),
    ],
)
async def test_refused_sockets(site: Site, headers: tuple[str, ...], path: str, status: int) -> None:
    got = await ask_for_socket(site.port, path, *headers)
    assert got.status == status
    check(got)


async def test_an_asset_keeps_what_it_says_itself(site: Site) -> None:
    page = await site.http.get("/", follow_redirects=True)
    found = re.search(r'"(/assets/[^"]+\.css)"', page.text)
    assert found is not None
    got = await site.http.get(found[1])
    assert "immutable" in got.headers["cache-control"]
    assert page.headers["cache-control"] == "no-store"
