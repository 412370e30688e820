"""The dashboard and the page of a model: whole without a script, forms do their work, frames bring what changed."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from quart_chat.entities import OWNER_ID, now_ms
from quart_chat.live.board import Board
from quart_chat.model_entities import Job, JobKind, JobState, Measurements, ModelUse
from tests.chat.houses import MODEL
from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.registry import Hold
from tests.doubles.script import Script
from tests.live.dom import Element, parse
from tests.web.conftest import Json, Site, Socket, open_site
from tests.web.test_pages import HTMX

SIZE = 2_000_000
EVIL = "<img src=x onerror=alert(1)>\"'"


@pytest.fixture
async def site(tmp_path: Path, fake_ollama: FakeOllama) -> AsyncIterator[Site]:
    """Whose engine is looked at often."""
    async with open_site(tmp_path, fake_ollama, ollama_poll_s=0.5) as site:
        yield site


def by_id(html: str, id: str) -> Element:
    return next(element for element in parse(html).walk() if element.attributes.get("id") == id)


def text_of(element: Element) -> str:
    parts = [child if isinstance(child, str) else text_of(child) for child in element.children]
    return " ".join(" ".join(parts).split())


def panel(html: str, id: str) -> str:
    return text_of(by_id(html, id))


def names(html: str) -> list[str]:
    """Of the rows of the installed table, from top to bottom."""
    body = next(element for element in by_id(html, "panel-installed").walk() if element.tag == "tbody")
    links = (element for element in body.walk() if element.attributes.get("class") == "model-link")
    return [text_of(link) for link in links]


def targets(frame: Json) -> list[str]:
    return re.findall(r'hx-target="#([^"]+)"', frame["content"])


def job_of(site: Site, model: str) -> Job:
    return next(job for job in site.services.library.jobs() if job.model == model)


async def page(site: Site, path: str = "/dashboard") -> str:
    response = await site.http.get(path)
    assert response.status_code == 200
    return response.text


async def post(site: Site, path: str, **form: str) -> None:
    """A form sent without a script; it leads to a page that is there."""
    response = await site.http.post(path, data=form)
    assert response.status_code == 303, response.text
    assert (await site.http.get(response.headers["location"], follow_redirects=True)).status_code == 200


async def begun(site: Site, name: str = "new:1b", **offer: object) -> Hold:
    """A download that stands half way."""
    hold = site.fake.offer(name, [("weights", SIZE)], **offer).hold(SIZE // 2)  # type: ignore[arg-type]
    await post(site, "/models/pull", model=name)
    await hold.held.wait()
    await site.until_board(lambda board: any(job.completed >= SIZE // 2 for job in board.get("job").values()))
    return hold


async def until_job(site: Site, state: JobState, model: str = "new:1b") -> None:
    def reached(board: Board) -> bool:
        return any(job.state is state for job in board.get("job").values() if job.model == model)

    await site.until_board(reached)


async def opened(site: Site, socket: Socket, html: str) -> None:
    """Says hello with what the page shows, and waits until whatever was due is there."""
    found = re.search(r'data-epoch="(\w+)" data-board-rev="(\d+)"', html)
    assert found is not None
    await socket.say("hello", after=f"{found[1]}..{found[2]}")
    await socket.say("ping")
    await socket.event("pong")


# the page


async def test_the_page_says_how_the_engine_is_and_what_is_installed(site: Site) -> None:
    html = await page(site)
    assert f"Ollama {site.fake.version}, connected" in panel(html, "panel-machine")
    assert names(html) == ["hello", "think"]
    assert "thinking" in text_of(by_id(html, "panel-installed"))
    assert 'hx-ws:connect="/ws?view=html&amp;page=dashboard"' in html


async def test_an_engine_that_is_gone_is_said_in_full_and_the_page_stays_whole(site: Site) -> None:
    site.fake.misbehave("refused")
    site.services.library.look_now()
    await site.until_board(lambda board: board.get("engine")[""].status == "disconnected")
    html = await page(site)
    assert "not answering" in panel(html, "panel-machine")
    assert "ollama serve" in panel(html, "panel-machine")
    assert panel(html, "panel-catalogue") == ""


async def test_without_a_model_the_page_leads_to_the_first_download(tmp_path: Path) -> None:
    async with FakeOllama(models=False) as fake, open_site(tmp_path, fake) as site:
        html = await page(site)
        assert "No model is installed yet" in panel(html, "panel-installed")
        assert "Download" in panel(html, "panel-catalogue")
        assert panel(html, "panel-memory") == ""
        chat = (await site.http.get("/", follow_redirects=True)).text
        assert "/dashboard#get-title" in chat


async def test_what_could_be_downloaded_is_listed_and_what_is_there_is_not(site: Site) -> None:
    offered = {offer.name for offer in await site.services.library.available()}
    assert offered
    name = sorted(offered)[0]
    assert f'value="{name}"' in await page(site)
    site.fake.add_model(name)
    site.services.library.look_now()
    await site.until_board(lambda board: name in board.get("model"))
    assert f'form="do-pull" name="model" value="{name}"' not in await page(site)


async def test_a_name_of_a_model_is_text_wherever_it_stands(site: Site) -> None:
    site.fake.add_model(EVIL, family=EVIL)
    site.services.library.look_now()
    await site.until_board(lambda board: len(board.get("model")) == 3)
    model = next(model for model in site.services.library.models if "<img" in model.name)
    for path in ("/dashboard", "/models/list", f"/dashboard?q={EVIL}", f"/models/{model.name}".replace("?", "%3F")):
        response = await site.http.get(path)
        assert response.status_code == 200
        assert "<img" not in response.text
        assert "&lt;img" in response.text


async def test_who_used_a_model_last_is_told_with_the_title_of_ones_own_chat_only(site: Site) -> None:
    session = await site.new_session()
    await site.ended(await site.ask(session, "A secret title"))
    site.services.library.look_now()
    await site.until_board(lambda board: MODEL in board.get("loaded") and bool(board.get("session")))
    own = ModelUse(model=MODEL, session_id=session.id, user_id=OWNER_ID, person="p", at=now_ms())
    site.services.hub.share("use", {MODEL: own})
    views = site.app.extensions["quart-chat"].dashboard.views
    assert f'href="/chat/{session.id}"' in views.memory(site.services.hub.board(OWNER_ID))
    foreign = ModelUse(model=MODEL, session_id=session.id, user_id="other", person="q", who="Ada", at=now_ms())
    site.services.hub.share("use", {MODEL: foreign})
    shown = views.memory(site.services.hub.board(OWNER_ID))
    assert "by Ada" in shown
    assert "secret" not in shown


# the table


async def test_the_table_is_sorted_and_filtered_by_its_address(site: Site) -> None:
    site.fake.add_model("alpha:1b", size=9_000_000_000, parameter_size="1B")
    site.fake.add_model("beta:70b", size=1_000_000, parameter_size="70B", capabilities=("completion", "vision"))
    site.services.library.look_now()
    await site.until_board(lambda board: len(board.get("model")) == 4)
    assert names(await page(site, "/models/list"))[:2] == ["alpha:1b", "beta:70b"]
    assert names(await page(site, "/models/list?sort=size"))[0] == "alpha:1b"
    assert names(await page(site, "/models/list?sort=size&dir=asc"))[0] == "beta:70b"
    assert names(await page(site, "/models/list?sort=parameters"))[0] == "beta:70b"
    assert names(await page(site, "/models/list?can=vision")) == ["beta:70b"]
    assert names(await page(site, "/dashboard?q=ALPHA")) == ["alpha:1b"]
    assert "No model matches" in panel(await page(site, "/models/list?q=nothing"), "panel-installed")
    assert len(names(await page(site, "/models/list?sort=evil&dir=x&can=y"))) == 4


async def test_the_sorted_column_says_so_and_a_second_click_turns_it_round(site: Site) -> None:
    html = await page(site, "/models/list?sort=size&q=hello")
    heads = [element for element in parse(html).walk() if element.attributes.get("aria-sort")]
    assert [head.attributes["aria-sort"] for head in heads] == ["descending"]
    link = next(element for element in heads[0].walk() if element.tag == "a")
    assert link.attributes["href"] == "/dashboard?sort=size&dir=asc&q=hello#installed-title"


# forms


async def test_a_download_begun_by_a_form_is_seen_by_reloading_until_it_is_there(site: Site) -> None:
    hold = await begun(site)
    shown = panel(await page(site), "panel-jobs")
    assert "new:1b" in shown
    assert "50 %" in shown
    assert "1 MB of 2 MB" in shown
    hold.resume.set()
    await until_job(site, JobState.COMPLETE)
    html = await page(site)
    assert "Downloaded" in panel(html, "panel-jobs")
    assert "new:1b" in names(html)


async def test_a_download_is_cancelled_resumed_and_dismissed_by_forms(site: Site) -> None:
    hold = await begun(site)
    job = job_of(site, "new:1b")
    await post(site, f"/jobs/{job.id}/cancel")
    await until_job(site, JobState.CANCELLED)
    assert "resuming goes on there" in panel(await page(site), "panel-jobs")
    hold.resume.set()
    await post(site, f"/jobs/{job.id}/resume")
    await until_job(site, JobState.COMPLETE)
    await post(site, f"/jobs/{job.id}/dismiss")
    assert panel(await page(site), "panel-jobs") == ""


async def test_all_that_has_ended_is_cleared_at_once_and_what_runs_stays(site: Site) -> None:
    await post(site, "/models/pull", model="none:1b")
    await until_job(site, JobState.FAILED, "none:1b")
    hold = await begun(site)
    await post(site, "/jobs/clear")
    assert [job.model for job in site.services.library.jobs()] == ["new:1b"]
    hold.resume.set()
    await until_job(site, JobState.COMPLETE)


async def test_a_failed_download_says_why_and_offers_to_try_again(site: Site) -> None:
    await post(site, "/models/pull", model="none:1b")
    await until_job(site, JobState.FAILED, "none:1b")
    shown = panel(await page(site), "panel-jobs")
    assert "in no registry" in shown
    assert "Retry" in shown


async def test_a_stalled_download_says_so(site: Site) -> None:
    job = Job(
        id="j", kind=JobKind.PULL, model="m:1b", user_id=OWNER_ID, phase="stalled", since=now_ms(), created_at=now_ms(),
        completed=10, total=100,
    )  # fmt: skip
    site.services.hub.share("job", {"j": job})
    html = site.app.extensions["quart-chat"].dashboard.views.jobs(site.services.hub.board(OWNER_ID))
    assert "Stalled, retrying" in panel(html, "panel-jobs")
    assert by_id(html, "job-j").attributes["class"] == "job running stalled"


async def test_a_name_that_is_none_is_refused_with_the_reason(site: Site) -> None:
    refused = await site.http.post("/models/pull", data={"model": "../evil"}, headers=HTMX)
    assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_INPUT")
    plain = await site.http.post("/models/pull", data={"model": ""}, headers={"Accept": "text/html"})
    assert plain.status_code == 400
    assert "Say which model" in plain.text


async def test_deleting_asks_first_says_what_it_frees_and_unloads(site: Site) -> None:
    session = await site.new_session()
    await site.ended(await site.ask(session))
    html = await page(site)
    rows = (element for element in by_id(html, "panel-installed").walk() if element.tag == "tr")
    row = next(element for element in rows if "hello" in text_of(element))
    asks = next(element for element in row.walk() if element.attributes.get("class") == "confirm")
    assert asks.tag == "details"
    assert "open" not in asks.attributes
    assert "This frees 2.0 GB" in text_of(asks)
    form = next(element for element in asks.walk() if element.tag == "form")
    await post(site, str(form.attributes["action"]))
    await site.until_board(lambda board: MODEL not in board.get("model") and MODEL not in board.get("loaded"))
    assert names(await page(site)) == ["think"]
    assert site.fake.engine.unloads == 1
    again = await site.http.delete(f"/model/delete/{MODEL}", headers=HTMX)
    assert again.status_code == 404


async def test_a_model_is_copied_renamed_and_made_into_an_assistant(site: Site) -> None:
    await post(site, "/models/copy", model=MODEL, name="twin")
    renamed = await site.http.post("/models/rename", data={"model": "twin", "name": "double"})
    assert renamed.headers["location"] == "/models/double%3Alatest"
    created = await site.http.post(
        "/models/create",
        data={"model": MODEL, "name": "pirate", "system_prompt": "Arr.", "temperature": "0,4", "num_ctx": "2048"},
        headers=HTMX,
    )
    assert (created.status_code, created.headers["hx-redirect"]) == (204, "/models/pirate%3Alatest")
    assert names(await page(site)) == ["double", "hello", "pirate", "think"]
    body = site.fake.seen("/api/create")[0].body
    assert (body["from"], body["system"]) == (MODEL, "Arr.")
    assert (body["parameters"]["temperature"], body["parameters"]["num_ctx"]) == (0.4, 2048)
    assert (await site.http.get("/models/pirate:latest")).status_code == 200


async def test_how_long_a_model_stays_is_kept_and_told_to_the_engine(site: Site) -> None:
    session = await site.new_session()
    await site.ended(await site.ask(session))
    site.services.library.look_now()
    await site.until_board(lambda board: MODEL in board.get("loaded"))
    await post(site, "/models/keep", model=MODEL, keep_alive="-1")
    await site.until_board(lambda board: board.get("loaded")[MODEL].forever)
    assert site.services.contexts.keep_alive(MODEL) == -1
    assert "stays" in panel(await page(site), "panel-memory")
    refused = await site.http.post("/models/keep", data={"model": MODEL, "keep_alive": "a year"}, headers=HTMX)
    assert refused.status_code == 400


async def test_a_context_is_kept_for_the_model(site: Site) -> None:
    await post(site, "/models/context", model=MODEL, num_ctx="2048")
    assert site.services.contexts.size(MODEL) == 2048
    assert "2,048 tokens, as set here" in await page(site, f"/models/{MODEL}")
    await post(site, "/models/context", model=MODEL, num_ctx="")
    assert site.services.contexts.size(MODEL) is None


async def test_an_update_says_what_has_changed(site: Site) -> None:
    site.fake.offer(MODEL, [("newer", SIZE)], digest="f" * 64)
    await post(site, "/models/update", model=MODEL)
    await until_job(site, JobState.COMPLETE, MODEL)
    assert "is now ffffffffffff" in panel(await page(site), "panel-jobs")


async def test_looking_for_updates_marks_the_models_that_have_one(site: Site) -> None:
    hold = site.fake.offer(MODEL, [("newer", SIZE)], digest="f" * 64).hold(1)
    await post(site, "/models/check")
    await site.until_board(lambda board: MODEL in board.get("update"))
    html = await page(site)
    assert "update available" in panel(html, "panel-installed")
    hold.resume.set()
    await site.until_board(lambda board: all(job.ended for job in board.get("job").values()))
    assert "1 update found" in panel(await page(site), "panel-jobs")


async def test_a_form_leads_back_to_the_page_it_was_on_and_nowhere_else(site: Site) -> None:
    own = f"http://127.0.0.1:{site.port}"
    for referer, then in (
        (f"{own}/dashboard?sort=size", "/dashboard?sort=size"),
        (f"{own}/models/hello%3Alatest", "/models/hello%3Alatest"),
        (f"{own}/api/models", "/dashboard"),
        ("http://evil.example/dashboard", "/dashboard"),
        ("", "/dashboard"),
    ):
        response = await site.http.post("/models/check", headers={"Referer": referer})
        assert response.headers["location"] == then


async def test_under_htmx_a_form_answers_with_a_word_and_nothing_to_swap(site: Site) -> None:
    site.fake.offer("new:1b")
    response = await site.http.post("/models/pull", data={"model": "new:1b"}, headers=HTMX)
    assert (response.status_code, response.content) == (204, b"")
    assert "Downloading new:1b" in response.headers["hx-trigger"]


# the page of a model


async def test_the_page_of_a_model_says_all_that_is_known_of_it(site: Site) -> None:
    site.fake.add_model("hf.co/some/model:q4", license="Do <b>good</b>", template="{{ .System }}", context_length=8192)
    site.services.library.look_now()
    await site.until_board(lambda board: "hf.co/some/model:q4" in board.get("model"))
    html = await page(site, "/models/hf.co/some/model:q4")
    for said in ("Do &lt;b&gt;good&lt;/b&gt;", "{{ .System }}", "8,192 tokens", "Q4_K_M", "Nothing was measured yet"):
        assert said in html
    assert 'action="/model/delete/hf.co/some/model%3Aq4"' in html
    assert (await site.http.get("/models/none:1b")).status_code == 404


async def test_the_page_of_a_model_draws_its_speed_and_gives_the_same_as_a_table(site: Site) -> None:
    site.fake.answer_always(Script(rate=300))
    session = await site.new_session()
    for _ in range(3):
        await site.ended(await site.ask(session))
    html = await page(site, f"/models/{MODEL}")
    drawing = next(element for element in parse(html).walk() if element.attributes.get("class") == "chart")
    assert [child.tag for child in drawing.children if isinstance(child, Element)][:2] == ["title", "desc"]
    assert "3 answers" in text_of(drawing)
    table = next(element for element in parse(html).walk() if element.attributes.get("aria-label") == "Measurements")
    assert sum(element.tag == "tr" for element in table.walk()) == 4
    assert "style=" not in html


async def test_a_model_that_is_only_on_its_way_has_a_page(site: Site) -> None:
    hold = await begun(site)
    html = await page(site, "/models/new:1b")
    assert "is not on this machine" in panel(html, "panel-model")
    assert "50 %" in panel(html, "panel-model")
    hold.resume.set()
    await until_job(site, JobState.COMPLETE)


# frames


async def test_a_download_sends_its_panel_and_nothing_else(site: Site) -> None:
    html = await page(site)
    async with site.socket("?view=html&page=dashboard") as socket:
        await opened(site, socket, html)
        hold = await begun(site, rate=SIZE * 2)
        frame = await socket.until(lambda frame: "50 %" in frame.get("content", ""))
        assert targets(frame) == ["panel-jobs"]
        assert len(frame["content"]) < 4000
        seen = [target for frame in socket.frames for target in targets(frame)]
        assert set(seen) == {"panel-jobs"}
        hold.resume.set()
        ended = await socket.until(lambda frame: "said" in frame["payload"])
        assert ended["payload"]["said"] == ["The download of new:1b finished."]
        seen = [target for frame in socket.frames for target in targets(frame)]
        if "panel-installed" not in seen:
            await socket.until(lambda frame: "panel-installed" in targets(frame))


async def test_two_viewers_keep_their_own_order_and_filter_and_equal_ones_get_the_same(site: Site) -> None:
    queries = ("sort=size&dir=asc", "sort=size&dir=asc", "q=think")
    views = [f"?view=html&page=dashboard&{query}" for query in queries]
    async with site.socket(views[0]) as one, site.socket(views[1]) as same, site.socket(views[2]) as other:
        for socket, query in zip((one, same, other), queries, strict=True):
            await opened(site, socket, await page(site, f"/dashboard?{query}"))
        site.fake.add_model("zebra:1b", size=10)
        site.services.library.look_now()
        frames = [
            await socket.until(lambda frame: "panel-installed" in targets(frame)) for socket in (one, same, other)
        ]
        tables = [re.findall('<section id="panel-installed".*?</section>', f["content"], re.DOTALL)[0] for f in frames]
        assert names(tables[0])[0] == "zebra:1b"
        assert tables[0] == tables[1]
        assert names(tables[2]) == ["think"]


async def test_a_model_that_is_loaded_changes_its_row_alone(site: Site) -> None:
    html = await page(site)
    async with site.socket("?view=html&page=dashboard") as socket:
        await opened(site, socket, html)
        await post(site, "/models/load", model=MODEL)
        frame = await socket.until(lambda frame: any(target.startswith("row-") for target in targets(frame)))
        rows = [target for target in targets(frame) if target.startswith("row-")]
        assert len(rows) == 1
        assert f'id="{rows[0]}"' in html
        assert "in memory, CPU" in frame["content"]
        assert "panel-installed" not in [target for frame in socket.frames for target in targets(frame)]


async def test_a_page_that_comes_with_nothing_is_sent_every_panel_it_has(site: Site) -> None:
    html = await page(site)
    async with site.socket("?view=html&page=dashboard") as socket:
        await socket.say("hello", after="deadbeef..1")
        frame = await socket.until(lambda frame: frame.get("doc") == "board")
        assert frame["prev"] is None
        for target in targets(frame):
            assert f'id="{target}"' in html


async def test_the_page_of_a_model_follows_its_state_and_not_that_of_others(site: Site) -> None:
    html = await page(site, f"/models/{MODEL}")
    async with site.socket(f"?view=html&page=model&model={MODEL}") as socket:
        await opened(site, socket, html)
        hold = await begun(site)
        hold.resume.set()
        await until_job(site, JobState.COMPLETE)
        await site.http.post("/models/load", data={"model": MODEL})
        frame = await socket.until(lambda frame: "Unload" in frame.get("content", ""))
        assert targets(frame) == ["panel-model"]
        for frame in socket.frames:
            for target in targets(frame):
                assert f'id="{target}"' in html
            assert "new:1b" not in frame.get("content", "")


async def test_a_chat_shows_downloads_and_the_load_of_its_model(site: Site) -> None:
    site.fake.engine.models[MODEL].load_s = 0.3
    session = await site.new_session(MODEL)
    html = await page(site, f"/chat/{session.id}")
    found = re.search(r'data-epoch="(\w+)" data-rev="(\d+)" data-board-rev="(\d+)"', html)
    assert found is not None
    async with site.socket(f"?view=html&session={session.id}") as socket:
        await socket.say("hello", after=".".join(found.groups()))
        await post(site, "/models/load", model=MODEL)
        await socket.until(lambda frame: "Loading hello" in frame.get("content", ""))
        hold = await begun(site)
        await socket.until(lambda frame: "50 %" in frame.get("content", "") and "panel-downloads" in targets(frame))
        hold.resume.set()
        await until_job(site, JobState.COMPLETE)
        for frame in socket.frames:
            for target in targets(frame):
                assert f'id="{target}"' in html


async def test_choosing_a_model_loads_it_ahead_of_the_first_question(site: Site) -> None:
    session = await site.new_session(MODEL)
    await post(site, f"/chat/{session.id}", model="think:latest")
    await site.until_board(lambda board: "think:latest" in board.get("loaded"))
    assert site.fake.questions == []


async def test_a_load_that_would_take_a_model_from_somebody_asks_first(site: Site) -> None:
    held = Job(
        id="h", kind=JobKind.LOAD, model="think:latest", user_id=OWNER_ID, state=JobState.HELD, leaving=MODEL,
        created_at=now_ms(),
    )  # fmt: skip
    session = await site.new_session("think:latest")
    site.services.hub.share("load", {"h": held})
    use = ModelUse(model=MODEL, session_id="x", user_id="other", person="q", at=now_ms() - 120_000)
    site.services.hub.share("use", {MODEL: use})
    async with site.services.hub.session(session.id, OWNER_ID) as document:
        shown = panel(site.app.extensions["quart-chat"].views.load(document), "panel-load")
    assert "Loading think will move hello out of memory, which was used 2 min ago by somebody else" in shown
    assert "Load now" in shown
    assert "Not now" in shown


async def test_how_the_machine_does_is_a_table_over_its_models(site: Site) -> None:
    speed = Measurements(count=12, tokens_per_s=21.4, slow=18, fast=25, first_token_ms=640, load_ms=2100, last_at=1)
    site.services.hub.share("speed", {MODEL: speed, "gone:1b": speed})
    views = site.app.extensions["quart-chat"].dashboard.views
    shown = panel(views.speeds(site.services.hub.board(OWNER_ID)), "panel-speeds")
    assert "hello" in shown
    assert "18 – 25" in shown
    assert "0.6 s" in shown
    assert "gone" not in shown
