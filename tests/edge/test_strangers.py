"""Origin and Host: pages of other sites and names that are made to point here get nothing, and leave nothing."""

from __future__ import annotations

import pytest

from tests.edge.wire import ask, ask_for_socket, origins_of, request
from tests.web.conftest import PERSON, Site

COOKIES = ((), (f"Cookie: qc_person={PERSON}",))
OWN_HOSTS = (
    "127.0.0.1",
    "127.0.0.1:{port}",
    "localhost:{port}",
    "LOCALHOST",
    "[::1]:{port}",
    "192.168.1.7",
    "box.local",
)
FOREIGN_HOSTS = (
    "evil.example",
    "evil.example:{port}",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil-localhost",
    "127.0.0.1@evil.example",
    "8.8.8.8",
    "0x7f.1",
    "2130706433",
    "127.1",
    "[2001:4860:4860::8888]",
    "rebind.test",
    "local",
    "localhost.example:80",
    "::1",
)


@pytest.mark.parametrize("number", range(20))
async def test_an_origin_that_is_not_ours_is_403_with_or_without_a_cookie_and_writes_nothing(
    site: Site, number: int
) -> None:
    origin = f"Origin: {origins_of(site.port)[number]}"
    before = await site.rows()
    for cookie in COOKIES:
        host = f"127.0.0.1:{site.port}"
        posted = await ask(site.port, request("POST", "/chat", origin, *cookie, host=host, body=b"a=b"))
        socket = await ask_for_socket(site.port, "/ws", origin, *cookie, host=host)
        assert (posted.status, socket.status) == (403, 403)
    assert await site.rows() == before


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"])
async def test_a_form_of_another_site_is_refused_whatever_its_type(site: Site, kind: str) -> None:
    headers = {"Origin": "https://evil.example", "Content-Type": kind}
    assert (await site.http.post("/chat", headers=headers, content=b"x")).status_code == 403
    assert await site.rows() == 0


async def test_two_origins_are_none_and_a_cross_site_fetch_without_origin_is_refused(site: Site) -> None:
    host = f"127.0.0.1:{site.port}"
    own = f"Origin: http://{host}"
    assert (await ask(site.port, request("POST", "/chat", own, own, host=host))).status == 403
    assert (await ask(site.port, request("POST", "/chat", "Sec-Fetch-Site: cross-site", host=host))).status == 403


async def test_our_own_origin_is_taken_for_forms_and_sockets(site: Site) -> None:
    for host in (f"127.0.0.1:{site.port}", f"localhost:{site.port}"):
        own = f"Origin: http://{host}"
        assert (await ask(site.port, request("POST", "/chat", own, host=host))).status == 303
        assert (await ask_for_socket(site.port, "/ws", own, host=host)).status == 101
    upper = f"Origin: HTTP://LOCALHOST:{site.port}"
    assert (await ask(site.port, request("POST", "/chat", upper, host=f"localhost:{site.port}"))).status == 303


async def test_a_page_by_https_that_we_know_nothing_of_is_told_what_to_set(site: Site) -> None:
    headers = {"Origin": f"https://127.0.0.1:{site.port}", "Accept": "application/json"}
    refused = await site.http.post("/chat", headers=headers)
    assert "BEHIND_PROXY" in refused.json()["error"]


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
async def test_a_host_that_is_not_ours_is_421_for_pages_files_and_sockets(site: Site, host: str) -> None:
    name = host.format(port=site.port)
    for path in ("/", "/api/health", "/assets/x/app.css", "/static/icons/none.svg"):
        assert (await ask(site.port, request("GET", path, host=name))).status == 421
    assert (await ask_for_socket(site.port, "/ws", f"Origin: http://{name}", host=name)).status == 421


@pytest.mark.parametrize("host", OWN_HOSTS)
async def test_a_host_of_ours_is_answered(site: Site, host: str) -> None:
    name = host.format(port=site.port)
    assert (await ask(site.port, request("GET", "/api/health", host=name))).status == 200
    assert (await ask_for_socket(site.port, "/ws", host=name)).status == 101
