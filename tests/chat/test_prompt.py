"""What the model reads, what a session is called, and what is known of times and contexts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quart_chat.chat.prompt import build_prompt, estimate_tokens
from quart_chat.chat.titles import MAX_CHARS, title_from
from quart_chat.entities import ChatSession, Message, Role

SESSION = ChatSession(id="s", user_id="u", created_at=1, updated_at=1)


def say(number: int, role: Role, content: str, parent: int | None = None) -> Message:
    return Message(
        id=str(number),
        session_id="s",
        number=number,
        role=role,
        content=content,
        timestamp=1,
        parent_id=str(parent) if parent else None,
    )


def told(messages: list[Message], answer: int, session: ChatSession = SESSION, *, continues: bool = False) -> list[str]:
    target = next(m for m in messages if m.number == answer)
    turns = build_prompt(session, messages, target, continues=continues)
    return [f"{turn.role.value}: {turn.content}" for turn in turns]


ASKED = [say(1, Role.USER, "Q1"), say(2, Role.ASSISTANT, "A1", 1), say(3, Role.USER, "Q2")]


def test_the_conversation_is_told_up_to_the_question() -> None:
    messages = [*ASKED, say(4, Role.ASSISTANT, "", 3)]
    assert told(messages, 4) == ["user: Q1", "assistant: A1", "user: Q2"]


def test_a_system_prompt_comes_first_and_a_blank_one_not_at_all() -> None:
    messages = [say(1, Role.USER, "Q"), say(2, Role.ASSISTANT, "", 1)]
    system = ChatSession(id="s", user_id="u", created_at=1, updated_at=1, system_prompt="Be brief.")
    assert told(messages, 2, system) == ["system: Be brief.", "user: Q"]
    blank = ChatSession(id="s", user_id="u", created_at=1, updated_at=1, system_prompt=" \n")
    assert told(messages, 2, blank) == ["user: Q"]


def test_of_several_answers_the_last_with_text_is_told_and_the_one_being_made_never() -> None:
    messages = [
        say(1, Role.USER, "Q1"),
        say(2, Role.ASSISTANT, "first", 1),
        say(3, Role.ASSISTANT, "second", 1),
        say(4, Role.ASSISTANT, "", 1),
        say(5, Role.USER, "Q2"),
        say(6, Role.ASSISTANT, "kept", 5),
        say(7, Role.ASSISTANT, "", 5),
    ]
    assert told(messages, 7) == ["user: Q1", "assistant: second", "user: Q2"]


def test_a_question_that_was_never_answered_is_told_without_an_answer() -> None:
    messages = [
        say(1, Role.USER, "Q1"),
        say(2, Role.ASSISTANT, "", 1),
        say(3, Role.USER, "Q2"),
        say(4, Role.ASSISTANT, "", 3),
    ]
    assert told(messages, 4) == ["user: Q1", "user: Q2"]


def test_to_continue_the_text_so_far_is_the_last_turn() -> None:
    messages = [*ASKED, say(4, Role.ASSISTANT, "half", 3)]
    assert told(messages, 4, continues=True)[-2:] == ["user: Q2", "assistant: half"]
    assert told(messages, 4)[-1] == "user: Q2"
    assert told([*ASKED, say(4, Role.ASSISTANT, "", 3)], 4, continues=True)[-1] == "user: Q2"


def test_tokens_are_estimated_from_the_length() -> None:
    messages = [say(1, Role.USER, "x" * 400), say(2, Role.ASSISTANT, "", 1)]
    assert estimate_tokens(build_prompt(SESSION, messages, messages[1])) == 104


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Why is the sky blue?", "Why is the sky blue?"),
        ("\n\n# Heading  with   gaps \nmore", "Heading with gaps"),
        ("```\ncode", "code"),
        ("---\n***\n> quoted", "quoted"),
        (" \n\t", ""),
        ("x" * 100, "x" * 59 + "…"),
        ("word " * 30, "word word word word word word word word word word word…"),
    ],
)
def test_a_title_is_the_first_line_that_says_something(text: str, title: str) -> None:
    assert title_from(text) == title


@given(st.text())
def test_a_title_is_one_short_line_whatever_the_text(text: str) -> None:
    title = title_from(text)
    assert len(title) <= MAX_CHARS
    assert len(title.splitlines()) <= 1
    assert title == title.strip()
