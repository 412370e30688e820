"""What the client sends, what it asks again, what it keeps, and that stopping really stops."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest

from quart_chat.entities import Parameters, Role
from quart_chat.errors import EngineUnavailableError, ModelNotFoundError, ModelRefusedError
from quart_chat.providers.base import ChatRequest, PromptTurn
from quart_chat.providers.ollama import OllamaClient
from quart_chat.providers.ollama_models import normalise, same_model
from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.script import HELLO, Script
from tests.doubles.wire import Reply, Request, WireServer
from tests.providers.helpers import ask, question


class TestWhatIsSent:
    async def test_nothing_but_the_question_when_nothing_is_set(
        self, fake_ollama: FakeOllama, client: OllamaClient
    ) -> None:
        await ask(client)
        assert fake_ollama.questions == [
            {
                "model": "hello",
                "messages": [{"role": "user", "content": "Hi"}],
                "stream": True,
                "think": False,
            }
        ]

    async def test_parameters_become_ollamas_options(self, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        parameters = Parameters(
            temperature=0.2, max_tokens=7, top_p=0.9, top_k=40, seed=1, stop=("\n", "END"), num_ctx=2048
        )
        heard = await ask(client, question(parameters=parameters, keep_alive="-1"))
        assert heard.reason == "length"
        body = fake_ollama.questions[0]
        assert body["options"] == {
            "temperature": 0.2,
            "num_predict": 7,
            "top_p": 0.9,
            "top_k": 40,
            "seed": 1,
            "stop": ["\n", "END"],
            "num_ctx": 2048,
        }
        assert body["keep_alive"] == -1
        assert (await client.running_models())[0].context_length == 2048

    async def test_the_history_goes_along_with_its_roles_and_thoughts(
        self, fake_ollama: FakeOllama, client: OllamaClient
    ) -> None:
        turns = (
            PromptTurn(role=Role.SYSTEM, content="Be brief."),
            PromptTurn(role=Role.USER, content="Grüße 🦙"),
            PromptTurn(role=Role.ASSISTANT, content="Hi", thinking="hm"),
            PromptTurn(role=Role.USER, content="And?"),
        )
        await ask(client, ChatRequest(model="hello", turns=turns))
        assert fake_ollama.questions[0]["messages"] == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Grüße 🦙"},
            {"role": "assistant", "content": "Hi", "thinking": "hm"},
            {"role": "user", "content": "And?"},
        ]

    @pytest.mark.parametrize(
        "wrong",
        [
            {"temperature": "hot"},
            {"temperature": True},
            {"temperature": float("nan")},
            {"top_p": []},
            {"max_tokens": 1.5},
            {"seed": "1"},
            {"stop": "x"},
            {"stop": (1,)},
            {"num_ctx": "4096"},
        ],
    )
    async def test_a_setting_of_the_wrong_type_is_refused_before_it_is_sent(
        self, wrong: dict[str, Any], fake_ollama: FakeOllama, client: OllamaClient
    ) -> None:
        heard = await ask(client, question(parameters=Parameters(**wrong)))
        assert type(heard.error) is ModelRefusedError
        assert next(iter(wrong)) in heard.error.message
        assert fake_ollama.requests == []

    @pytest.mark.parametrize(
        "request_", [question(model=" "), question("\ud800"), ChatRequest(model="hello", turns=())]
    )
    async def test_what_cannot_be_asked_is_not_sent(
        self, request_: ChatRequest, fake_ollama: FakeOllama, client: OllamaClient
    ) -> None:
        assert type((await ask(client, request_)).error) is ModelRefusedError
        assert fake_ollama.requests == []

    async def test_no_proxy_and_no_certificates_for_plain_http(
        self, fake_ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_certificates(*_: object, **__: object) -> None:
            raise AssertionError("certificates were read")

        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
        monkeypatch.setattr(ssl, "create_default_context", no_certificates)
        monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", no_certificates)
        client = OllamaClient(fake_ollama.url)
        assert await client.version() == "0.33.0"
        await client.close()

    async def test_a_path_in_the_address_is_kept(self) -> None:
        async def handler(request: Request, reply: Reply) -> None:
            reply.json({"version": request.path})

        async with WireServer(handler) as server:
            client = OllamaClient(f"{server.url}/behind/")
            assert await client.version() == "/behind/api/version"
            await client.close()


class TestThinking:
    async def test_it_is_asked_for_only_where_the_model_can(
        self, fake_ollama: FakeOllama, client: OllamaClient
    ) -> None:
        fake_ollama.answer(Script(thinking=["hm", "m"]))
        heard = await ask(client, question(model="THINK", think=True))
        await ask(client, question(model="hello", think=True))
        await ask(client, question(model="think", think=None))
        await ask(client, question(model="think", think=False))
        assert [body["think"] for body in fake_ollama.questions] == [True, False, False, False]
        assert (heard.thinking, heard.content) == ("hmm", HELLO)

    async def test_unknown_abilities_mean_no_thinking(self, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        fake_ollama.misbehave("500", path="/api/show")
        assert (await ask(client, question(model="think", think=True))).content == HELLO
        assert fake_ollama.questions[0]["think"] is False

    async def test_a_model_that_lost_the_ability_is_asked_again_without(
        self, fake_ollama: FakeOllama, client: OllamaClient
    ) -> None:
        await client.list_models()
        fake_ollama.add_model("think")
        fake_ollama.answer_always("<think>well</think>Yes")
        heard = await ask(client, question(model="think", think=True))
        assert [body["think"] for body in fake_ollama.questions] == [True, False]
        assert (heard.thinking, heard.content) == ("well", "Yes")


class TestAskingAgain:
    async def test_a_busy_engine_is_asked_until_it_takes_it(
        self, fake_ollama: FakeOllama, client: OllamaClient
    ) -> None:
        fake_ollama.misbehave("503", times=3)
        assert (await ask(client)).content == HELLO
        assert len(fake_ollama.questions) == 4

    async def test_an_engine_that_comes_back_in_time_is_not_noticed(self, fake_ollama: FakeOllama) -> None:
        client = OllamaClient(fake_ollama.url, retries=6, backoff_s=0.05)
        fake_ollama.misbehave("refused")
        asking = asyncio.create_task(ask(client))
        await asyncio.wait({asking}, timeout=0.1)
        await fake_ollama.listen()
        assert (await asking).content == HELLO
        await client.close()

    async def test_not_more_often_than_allowed(self, fake_ollama: FakeOllama) -> None:
        for retries in (0, 2):
            client = OllamaClient(fake_ollama.url, retries=retries, backoff_s=0.01)
            fake_ollama.requests.clear()
            fake_ollama.misbehave("503", times=10)
            assert (await ask(client)).error is not None
            assert len(fake_ollama.questions) == retries + 1
            fake_ollama.behave()
            await client.close()

    @pytest.mark.parametrize("mode", ["404", "500", "cut_mid_line", "cut_without_done", "in_band_error", "empty"])
    async def test_anything_else_is_asked_once(self, mode: str, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        fake_ollama.misbehave(mode)
        assert (await ask(client)).error is not None
        assert len(fake_ollama.questions) == 1


class TestStopping:
    @pytest.mark.parametrize("how", ["aclose", "cancel"])
    async def test_in_the_middle_the_engine_sees_it_within_a_second(
        self, how: str, fake_ollama: FakeOllama, client: OllamaClient
    ) -> None:
        fake_ollama.answer(Script(count=1000, rate=200))
        stream = client.generate_response(question())
        async with asyncio.timeout(1):
            await anext(stream)
            if how == "aclose":
                await stream.aclose()
            else:
                reading = asyncio.ensure_future(anext(stream))
                await asyncio.sleep(0)
                reading.cancel()
                await asyncio.wait({reading})
            await fake_ollama.until(lambda: len(fake_ollama.aborted) == 1)
        assert (await ask(client)).content == HELLO

    @pytest.mark.parametrize("held_by", ["loading", "prompt"])
    async def test_before_the_answer_too(self, held_by: str, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        fake_ollama.add_model("large", load_s=60 if held_by == "loading" else 0)
        fake_ollama.answer(Script(prompt_s=60))
        asking = asyncio.create_task(ask(client, question(model="large")))
        async with asyncio.timeout(1):
            await fake_ollama.until(lambda: len(fake_ollama.questions) == 1)
            asking.cancel()
            await asyncio.wait({asking})
            await fake_ollama.until(lambda: len(fake_ollama.aborted) == 1)
        assert asking.cancelled()

    async def test_cancelling_again_while_it_closes_does_not_keep_the_connection(
        self, fake_ollama: FakeOllama, client: OllamaClient
    ) -> None:
        script = fake_ollama.answer(Script(hold_at=1))
        asking = asyncio.create_task(ask(client))
        async with asyncio.timeout(1):
            await script.held.wait()
            asking.cancel()
            await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait({asking})
            await fake_ollama.until(lambda: len(fake_ollama.aborted) == 1)

    async def test_a_whole_answer_is_read_to_its_end_before_the_connection_is_closed(self) -> None:
        """A stream that is closed early can cost the model its slot."""

        async def handler(request: Request, reply: Reply) -> None:
            reply.stream()
            await reply.part(b'{"message":{"content":"Hi"},"done":true}\n')
            await asyncio.sleep(0.1)
            reply.end()

        async with WireServer(handler) as server:
            client = OllamaClient(server.url)
            assert (await ask(client)).content == "Hi"
            await client.close()
            await server.until(lambda: not server.connections)
        assert server.aborted == []

    async def test_leaving_in_any_moment_leaves_nothing_behind(self, fake_ollama: FakeOllama) -> None:
        client = OllamaClient(fake_ollama.url, slots=4)
        fake_ollama.answer_always(Script(count=20))
        for steps in range(60):
            asking = asyncio.create_task(ask(client))
            for _ in range(steps):
                await asyncio.sleep(0)
            asking.cancel()
            if steps % 2:
                await asyncio.sleep(0)
                asking.cancel()
            await asyncio.wait({asking})
        assert (await ask(client)).reason == "stop"
        await fake_ollama.until(lambda: not fake_ollama.connections, within_s=1)
        await client.close()
        assert fake_ollama.engine.active == 0

    async def test_a_failed_answer_closes_its_connection_though_its_error_is_kept(
        self, fake_ollama: FakeOllama, client: OllamaClient
    ) -> None:
        fake_ollama.misbehave("huge_line")
        heard = await ask(client)
        assert heard.error is not None
        await fake_ollama.until(lambda: len(fake_ollama.aborted) == 1, within_s=1)

    async def test_cancelling_a_load_aborts_it(self, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        fake_ollama.add_model("large", load_s=60)
        loading = asyncio.create_task(client.load_model("large"))
        async with asyncio.timeout(1):
            await fake_ollama.until(lambda: len(fake_ollama.seen("/api/chat")) == 1)
            loading.cancel()
            await fake_ollama.until(lambda: len(fake_ollama.aborted) == 1)
        assert fake_ollama.engine.loads == 0

    async def test_after_close_everything_is_unavailable(self, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        await client.version()
        await client.close()
        await client.close()
        with pytest.raises(EngineUnavailableError):
            await client.version()
        assert type((await ask(client)).error) is EngineUnavailableError


class TestWhatIsKept:
    async def test_a_model_is_described_once_per_digest(self, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        for _ in range(3):
            models = await client.list_models()
            await client.get_model_info("hello")
        assert [model.name for model in models] == ["hello:latest", "think:latest"]
        assert [model.thinks for model in models] == [False, True]
        assert len(fake_ollama.seen("/api/show")) == 2
        fake_ollama.add_model("hello", digest="f" * 64, capabilities=("completion", "vision"))
        assert "vision" in (await client.get_model_info("Hello")).capabilities
        assert len(fake_ollama.seen("/api/show")) == 3

    async def test_what_is_no_longer_installed_is_forgotten(
        self, fake_ollama: FakeOllama, client: OllamaClient
    ) -> None:
        await client.list_models()
        fake_ollama.remove_model("hello")
        await client.list_models()
        fake_ollama.add_model("hello")
        await client.list_models()
        assert len(fake_ollama.seen("/api/show")) == 3

    async def test_a_model_that_runs_elsewhere_is_listed_without_asking_for_more(self) -> None:
        async def handler(request: Request, reply: Reply) -> None:
            reply.json({"models": [{"name": "big:cloud", "remote_host": "https://ollama.com"}]})

        async with WireServer(handler) as server:
            client = OllamaClient(server.url)
            (model,) = await client.list_models()
            await client.close()
        assert model.remote
        assert len(server.requests) == 1

    async def test_a_failed_description_is_no_failed_list_and_is_tried_again(
        self, fake_ollama: FakeOllama, client: OllamaClient
    ) -> None:
        fake_ollama.misbehave("500", times=2, path="/api/show")
        assert [model.thinks for model in await client.list_models()] == [False, False]
        assert [model.thinks for model in await client.list_models()] == [False, True]

    async def test_models_come_and_go(self, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        fake_ollama.remove_model("hello")
        assert [model.name for model in await client.list_models()] == ["think:latest"]
        with pytest.raises(ModelNotFoundError):
            await client.get_model_info("hello")

    async def test_however_many_ask_what_is_in_memory_one_request_is_under_way(self) -> None:
        answer = asyncio.Event()

        async def handler(request: Request, reply: Reply) -> None:
            await answer.wait()
            reply.json({"models": []})

        async with WireServer(handler) as server:
            client = OllamaClient(server.url)
            asking = [asyncio.create_task(client.running_models()) for _ in range(10)]
            await server.until(lambda: len(server.requests) == 1)
            asking[0].cancel()
            answer.set()
            assert await asyncio.gather(*asking[1:]) == [[]] * 9
            assert len(server.requests) == 1
            assert await client.running_models() == []
            assert len(server.requests) == 2
            await client.close()
        assert asking[0].cancelled()

    async def test_closing_while_somebody_asks_is_an_unavailable_engine(self) -> None:
        async def handler(request: Request, reply: Reply) -> None:
            await asyncio.Event().wait()

        async with WireServer(handler) as server:
            client = OllamaClient(server.url)
            asking = asyncio.create_task(client.running_models())
            await server.until(lambda: len(server.requests) == 1)
            await client.close()
            with pytest.raises(EngineUnavailableError):
                await asking


class TestSilentTruncation:
    LONG = "All work and no play makes a dull model. " * 800

    async def test_a_prompt_that_was_mostly_dropped_is_noticed(
        self, fake_ollama: FakeOllama, client: OllamaClient
    ) -> None:
        fake_ollama.answer(Script(prompt_tokens=2051))
        heard = await ask(client, question(self.LONG))
        assert heard.notices == ["truncated"]
        assert heard.reason == "stop"

    async def test_a_prompt_that_was_read_whole_is_not(self, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        fake_ollama.answer(Script(prompt_tokens=8300))
        assert (await ask(client, question(self.LONG))).notices == []
        fake_ollama.answer(Script(prompt_tokens=5000))
        parameters = Parameters(num_ctx=16_384)
        assert (await ask(client, question(self.LONG, parameters=parameters))).notices == []

    async def test_white_space_is_not_taken_for_lost_text(self, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        fake_ollama.answer(Script(prompt_tokens=300))
        assert (await ask(client, question("x" + " " * 40_000 + "y"))).notices == []


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        ("llama3.2", "llama3.2:latest"),
        ("Llama3.2:3B", "llama3.2:3b"),
        ("127.0.0.1:38441/test/tiny", "127.0.0.1:38441/test/tiny:latest"),
        ("hf.co/org/Repo:Q4_K_M", "hf.co/org/repo:q4_k_m"),
        ("", ""),
    ],
)
def test_names_are_compared_with_their_tag_and_without_case(name: str, normal: str) -> None:
    assert normalise(name) == normal
    assert same_model(name, normal)


async def test_the_address_is_shown_without_its_password() -> None:
    client = OllamaClient("http://me:secret@127.0.0.1:9", retries=0)
    with pytest.raises(EngineUnavailableError) as caught:
        await client.version()
    assert caught.value.message == "Ollama is not answering at http://127.0.0.1:9."
    await client.close()


@pytest.mark.parametrize("url", ["http://", "ftp://localhost", "http://a:b:c", "nonsense", "http://..", "http://[::1"])
async def test_an_impossible_address_is_told_not_thrown(url: str) -> None:
    client = OllamaClient(url, retries=0)
    with pytest.raises(EngineUnavailableError):
        await client.version()
    assert type((await ask(client)).error) in EngineUnavailableError.__mro__[:1] + tuple(
        EngineUnavailableError.__subclasses__()
    )
    await client.close()
