"""What the client sends to Ollama, and which names and addresses it takes."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from quart_chat.entities import Parameters, Role
from quart_chat.errors import EngineUnavailableError, ModelRefusedError
from quart_chat.providers.base import ChatRequest, PromptTurn
from quart_chat.providers.ollama import OllamaClient
from quart_chat.providers.ollama_models import normalise, same_model
from tests.doubles.fake_ollama import FakeOllama
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
