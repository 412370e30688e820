"""A real browser on another site: names that resolve to us, forms and sockets to us."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Error, async_playwright

from tests.e2e.browser import ARGS
from tests.web.conftest import Site

ATTEMPTS = """async port => {
  const tried = async act => { try { return await act(); } catch { return 'refused'; } };
  const socket = new Promise(done => {
    const one = new WebSocket(`ws://127.0.0.1:${port}/ws?after=`);
    one.onopen = () => done('open');
    one.onerror = () => done('refused');
  });
  const us = `http://127.0.0.1:${port}`;
  return {
    read: await tried(async () => (await fetch(us + '/api/health')).status),
    post: await tried(async () => (await fetch(us + '/chat', { method: 'POST', mode: 'no-cors', body: 'a=b' })).type),
    socket: await socket,
  };
}"""


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Every name below .test is this machine."""
    named = os.environ.get("QUART_CHAT_CHROMIUM") or shutil.which("chromium", path="/usr/bin")
    rules = "--host-resolver-rules=MAP *.test 127.0.0.1"
    async with async_playwright() as playwright:
        try:
            found = await playwright.chromium.launch(executable_path=named or None, args=[*ARGS, rules])
        except Error as error:
            if os.environ.get("QUART_CHAT_REQUIRE_BROWSER") == "1":
                pytest.fail(f"no Chromium starts: {error.message}")
            pytest.skip("no Chromium starts: rebinding is NOT tested in a browser")
        yield found
        await found.close()


@pytest.mark.browser
async def test_a_name_that_is_made_to_point_here_gets_421_in_a_browser(site: Site) -> None:
    async with browser() as chromium:
        page = await chromium.new_page()
        answer = await page.goto(f"http://rebind.test:{site.port}/")
        assert answer is not None
        assert answer.status == 421
        own = await page.goto(f"http://box.localhost:{site.port}/")
        assert own is not None
        assert own.status == 200


@pytest.mark.browser
async def test_a_page_of_another_site_reads_nothing_writes_nothing_and_opens_no_socket(site: Site) -> None:
    async with browser() as chromium:
        page = await chromium.new_page()
        await page.route("http://evil.test/", lambda route: route.fulfill(body="<p>evil", content_type="text/html"))
        await page.goto("http://evil.test/")
        before = await site.rows()
        tried = await page.evaluate(ATTEMPTS, site.port)
        assert (tried["read"], tried["socket"]) == ("refused", "refused")
        assert await site.rows() == before
