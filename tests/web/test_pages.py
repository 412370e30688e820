"""Pages and forms: whole without a script, silent under htmx, and a socket that brings exactly what has changed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from quart_chat.entities import OWNER_ID, Parameters
from tests.chat.houses import MODEL
from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.script import HELLO, Script
from tests.live.dom import Page, parse
from tests.web.conftest import Site, Socket, open_site

HTMX = {"HX-Request": "true"}


def live_of(html: str) -> dict[str, str]:
    """Where the page says it stands."""
    found = re.search(r'data-epoch="(\w+)" data-rev="(\d+)" data-board-rev="(\d+)"', html)
    assert found is not None
    return {"epoch": found[1], "rev": found[2], "board": found[3]}


async def opened(site: Site, path: str = "/") -> httpx.Response:
    return await site.http.get(path, follow_redirects=True)


async def say_hello(socket: Socket, html: str) -> None:
    live = live_of(html)
    await socket.say("hello", after=f"{live['epoch']}.{live['rev']}.{live['board']}")


async def test_the_first_visit_leads_to_a_chat_with_the_default_model(site: Site) -> None:
    response = await opened(site)
    assert response.status_code == 200
    assert re.fullmatch(r"/chat/[0-9a-f]{24}", response.url.path)
    assert "hello" in response.text
    again = await opened(site)
    assert again.url == response.url


async def test_a_page_shows_its_messages_with_the_answer_rendered(site: Site) -> None:
    site.fake.answer("**Bold** and `code`")
    session = await site.new_session()
    await site.ended(await site.ask(session, "<script>alert(1)</script>"))
    html = (await opened(site, f"/chat/{session.id}")).text
    assert "<strong>Bold</strong>" in html
    assert "&lt;script&gt;alert(1)" in html
    assert "<script>alert" not in html


async def test_a_browser_is_given_a_name_once_and_keeps_it(site: Site) -> None:
    session = await site.new_session()
    async with httpx.AsyncClient(base_url=site.http.base_url, verify=False) as browser:
        first = await browser.get(f"/chat/{session.id}")
        cookie = first.headers["set-cookie"]
        assert re.match(r"qc_person=[0-9a-f]{16};", cookie)
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert "set-cookie" not in (await browser.get(f"/chat/{session.id}")).headers
    for strange in ("not ours!", "a" * 17, ""):
        async with httpx.AsyncClient(base_url=site.http.base_url, verify=False) as browser:
            answer = await browser.get(f"/chat/{session.id}", headers={"Cookie": f"qc_person={strange}"})
            assert "set-cookie" in answer.headers


async def test_two_browsers_are_two_people_in_the_queue(site: Site) -> None:
    script = site.fake.answer(Script(hold_at=1))
    await site.ask(await site.new_session(), person="x")
    await script.held.wait()
    for person in ("a" * 16, "b" * 16):
        site.http.cookies.set("qc_person", person)
        session = await site.new_session()
        await site.http.post(f"/chat/{session.id}/message", data={"content": "Hi"})
    people = {entry.person for entry in site.queue.entries()}
    assert people == {"x", "a" * 16, "b" * 16}
    script.resume.set()
    await site.idle()


FORMS: list[tuple[str, dict[str, str], str]] = [
    ("/chat/{session}", {"title": "New name"}, "/chat/{session}"),
    ("/chat/{session}", {"model": "think:latest"}, "/chat/{session}"),
    ("/chat/{session}/draft", {"content": "half"}, "/chat/{session}"),
    ("/chat/{session}/message", {"content": "Hi", "client_id": "c"}, "/chat/{session}"),
    ("/messages/{answer}/generations", {"mode": "retry"}, "/chat/{session}"),
    ("/messages/{answer}/generations", {"mode": "continue"}, "/chat/{session}"),
    ("/generations/{generation}/delete", {}, "/chat/{session}"),
    ("/chat/{session}/clear", {}, "/chat/{session}"),
    ("/chat/{session}/delete", {}, "/"),
    ("/models/load", {"model": MODEL}, "/"),
    ("/models/unload", {"model": MODEL}, "/"),
]


@pytest.mark.parametrize(("path", "form", "then"), FORMS)
async def test_a_form_leads_to_a_page_without_script_and_to_nothing_under_htmx(
    site: Site, path: str, form: dict[str, str], then: str
) -> None:
    for headers in ({}, HTMX):
        session = await site.new_session()
        turn = await site.ask(session)
        await site.idle()
        names = {"session": session.id, "answer": turn.answer.id, "generation": turn.generation.id}
        response = await site.http.post(path.format(**names), data=form, headers=headers)
        if headers:
            assert (response.status_code, response.content) == (204, b"")
        else:
            assert (response.status_code, response.headers["location"]) == (303, then.format(**names))
        await site.idle()


async def test_a_new_chat_leads_to_it(site: Site) -> None:
    response = await site.http.post("/chat")
    assert response.status_code == 303
    assert (await site.http.get(response.headers["location"])).status_code == 200


async def test_saving_settings_keeps_what_the_form_has_no_field_for(site: Site) -> None:
    session = await site.new_session()
    parameters = Parameters(seed=7, top_k=3, stop=("END",), temperature=1.0)
    await site.chat.update_session(session.id, OWNER_ID, {"parameters": parameters})
    form = {"system_prompt": "Be.\r\nBrief.", "temperature": "0,5", "top_p": "", "max_tokens": "9", "num_ctx": "2048"}
    assert (await site.http.post(f"/chat/{session.id}", data=form)).status_code == 303
    after = await site.storage.get_session(session.id, OWNER_ID)
    assert after.parameters == Parameters(seed=7, top_k=3, stop=("END",), temperature=0.5, max_tokens=9)
    assert site.services.contexts.size(MODEL) == 2048
    await site.http.post(f"/chat/{session.id}", data={"num_ctx": ""})
    assert site.services.contexts.size(MODEL) is None


@pytest.mark.parametrize(
    "form", [{"temperature": "hot"}, {"temperature": "nan"}, {"max_tokens": "1.5"}, {"num_ctx": "inf"}, {"top_p": "-1"}]
)
async def test_a_number_that_is_none_is_refused_by_name(site: Site, form: dict[str, str]) -> None:
    session = await site.new_session()
    response = await site.http.post(f"/chat/{session.id}", data=form, headers=HTMX)
    assert response.status_code == 400
    assert list(response.json()["fields"]) == list(form)


async def test_what_cannot_be_sent_comes_back_with_the_reason_and_the_text(site: Site) -> None:
    script = site.fake.answer(Script(hold_at=1))
    session = await site.new_session()
    await site.ask(session)
    await script.held.wait()
    response = await site.http.post(f"/chat/{session.id}/message", data={"content": "My long question"})
    assert response.status_code == 409
    assert "My long question</textarea>" in response.text
    assert "still being written" in response.text
    under_htmx = await site.http.post(f"/chat/{session.id}/message", data={"content": "x"}, headers=HTMX)
    assert (under_htmx.status_code, under_htmx.json()["code"]) == (409, "CONFLICT")
    script.resume.set()
    await site.idle()


async def test_a_text_keeps_its_lines_as_they_were_typed(site: Site) -> None:
    session = await site.new_session()
    await site.http.post(f"/chat/{session.id}/message", data={"content": "one\r\ntwo\r\n"})
    await site.idle()
    assert (await site.chat.get_history(session.id, OWNER_ID))[0].content == "one\ntwo\n"


async def test_earlier_messages_come_as_a_fragment_or_as_a_page(site: Site) -> None:
    session = await site.new_session()
    for number in range(22):
        await site.ended(await site.ask(session, f"Question {number}."))
    html = (await opened(site, f"/chat/{session.id}")).text
    earlier = f"/chat/{session.id}?before=5"
    assert earlier in html
    assert "Question 1." not in html
    fragment = await site.http.get(earlier, headers=HTMX)
    assert "<html" not in fragment.text
    assert "Question 1." in fragment.text
    assert "Show earlier" not in fragment.text
    page = await site.http.get(earlier)
    assert "<html" in page.text
    assert "Question 0." in page.text


@pytest.mark.parametrize("path", ["/nothing", "/chat/nothing", "/assets/x/none.js", "/static/icons/none.svg"])
async def test_an_error_is_a_page_for_a_browser_and_json_for_a_program(site: Site, path: str) -> None:
    page = await site.http.get(path, headers={"Accept": "text/html,*/*;q=0.8"})
    assert page.status_code == 404
    assert "Back to the chats" in page.text
    program = await site.http.get(path, headers={"Accept": "application/json"})
    assert (program.status_code, program.json()["code"]) == (404, "NOT_FOUND")


async def test_assets_are_kept_for_ever_by_their_own_address_alone(site: Site) -> None:
    html = (await opened(site)).text
    for path in re.findall(r'(?:src|href)="(/assets/[^"]+)"', html):
        packed = await site.http.get(path)
        assert packed.headers["content-encoding"] == "gzip"
        assert "immutable" in packed.headers["cache-control"]
        plain = await site.http.get(path, headers={"Accept-Encoding": "identity"})
        assert plain.content == packed.content
        other = await site.http.get(re.sub(r"/assets/\w+/", "/assets/old/", path))
        assert (other.status_code, other.headers["cache-control"]) == (200, "no-cache")
    assert (await site.http.get("/static/icons/favicon.svg")).headers["content-type"].startswith("image/svg")


@pytest.mark.parametrize("name", ["..%2f..%2fpyproject.toml", "%2e%2e/%2e%2e/pyproject.toml", "..", "%00"])
async def test_nothing_outside_of_the_icons_is_given(site: Site, name: str) -> None:
    response = await site.http.get(f"/static/icons/{name}")
    assert response.status_code in (400, 404)
    assert "build-system" not in response.text


async def test_a_page_follows_an_answer_by_differences_and_shows_what_a_fresh_page_shows(site: Site) -> None:
    site.fake.answer(Script(text="# Title\n\nText 🙂 **bold**\n\n```python\nx = '𝕏'\ny = 2\n```\n\nEnd.", rate=60))
    session = await site.new_session()
    html = (await opened(site, f"/chat/{session.id}")).text
    live = live_of(html)
    page = Page(log_of(html), live["epoch"], int(live["rev"]))
    async with site.socket(f"?session={session.id}&view=html") as socket:
        await say_hello(socket, html)
        await site.http.post(f"/chat/{session.id}/message", data={"content": "Hi"}, headers=HTMX)
        finished = False
        while not finished:
            frame = await socket.receive()
            if frame.get("doc") == "session":
                page.take(json.dumps(only_log(frame)))
                finished = bool(frame["payload"].get("finished")) or finished
            await socket.say("ack", count=1)
        fresh = Page(log_of((await opened(site, f"/chat/{session.id}")).text), "", 0)
        while page.log() != fresh.log():
            frame = await socket.receive()
            if frame.get("doc") == "session":
                page.take(json.dumps(only_log(frame)))


def log_of(html: str) -> str:
    """The element #log of a whole page."""
    start = html.index('<div id="log">')
    return html[start : html.index('<section id="panel-empty"')]


def only_log(frame: dict[str, Any]) -> dict[str, Any]:
    """The frame without the panels beside the log, which `log_of` leaves out as well."""
    parts = re.findall(r"<hx-partial.*?</hx-partial>", frame["content"], re.DOTALL)
    return {**frame, "content": "".join(part for part in parts if 'hx-target="#panel-' not in part)}


async def test_a_page_that_is_up_to_date_is_sent_nothing_of_its_session(site: Site) -> None:
    session = await site.new_session()
    await site.ended(await site.ask(session))
    html = (await opened(site, f"/chat/{session.id}")).text
    async with site.socket(f"?session={session.id}&view=html") as socket:
        await say_hello(socket, html)
        await socket.say("ping")
        await socket.event("pong")
        assert [frame for frame in socket.frames if frame.get("doc") == "session"] == []


async def test_a_page_of_another_epoch_is_sent_a_snapshot(site: Site) -> None:
    session = await site.new_session()
    await site.ended(await site.ask(session))
    async with site.socket(f"?session={session.id}&view=html") as socket:
        await socket.say("hello", after="deadbeef.1.1")
        frame = await socket.until(lambda frame: frame.get("doc") == "session")
        assert frame["prev"] is None
        assert HELLO in "".join(str(child) for child in texts(frame["content"]))


def texts(html: str) -> list[str]:
    return [child for element in parse(html).walk() for child in element.children if isinstance(child, str)]


async def test_under_a_sub_path_every_address_has_it(tmp_path: Path, fake_ollama: FakeOllama) -> None:
    async with open_site(tmp_path, fake_ollama, base_path="/talk") as site:
        response = await site.http.get(f"http://127.0.0.1:{site.port}/talk/", follow_redirects=True)
        assert response.status_code == 200
        paths = re.findall(r'(?:href|action|src|hx-post|hx-get)="(/[^"]*)"', response.text)
        assert paths
        assert [path for path in paths if not path.startswith("/talk/")] == []
        assert 'hx-ws:connect="/talk/ws' in response.text
        async with site.socket("?after=") as socket:
            await socket.event("ready")
