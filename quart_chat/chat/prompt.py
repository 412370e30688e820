"""What the model gets to read: a session's messages as turns. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from quart_chat.entities import ChatSession, Message, Role
from quart_chat.providers.base import PromptTurn


def build_prompt(
    session: ChatSession, messages: Sequence[Message], answer: Message, *, continues: bool = False
) -> tuple[PromptTurn, ...]:
    """The turns before `answer`, oldest first, the system prompt in front.

    Of several answers to one question only the last one with text is told, the one being made never. With
    `continues` the text it has so far is the last turn, for the model to go on from.
    """
    turns = []
    if session.system_prompt.strip():
        turns.append(PromptTurn(role=Role.SYSTEM, content=session.system_prompt))
    answers = {m.parent_id: m for m in messages if m.role is Role.ASSISTANT and m.content and m.id != answer.id}
    for message in messages:
        if message.number >= answer.number or message.id == answer.parent_id:
            continue
        if message.role is Role.USER:
            turns.append(PromptTurn(role=Role.USER, content=message.content))
            reply = answers.get(message.id)
            if reply is not None and reply.number < answer.number:
                turns.append(PromptTurn(role=Role.ASSISTANT, content=reply.content))
    question = next((m for m in messages if m.id == answer.parent_id), None)
    if question is not None:
        turns.append(PromptTurn(role=Role.USER, content=question.content))
    if continues and answer.content:
        turns.append(PromptTurn(role=Role.ASSISTANT, content=answer.content))
    return tuple(turns)


def estimate_tokens(turns: Sequence[PromptTurn]) -> int:
    """About four characters a token; for the phase line only."""
    return sum(len(turn.content) for turn in turns) // 4 + 4 * len(turns)
