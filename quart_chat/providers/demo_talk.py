"""What the demo says: the first rule that fits, with the words turned round. Imported at its first question."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from quart_chat.entities import Role
from quart_chat.providers.base import PromptTurn
from quart_chat.providers.demo_rules import MENTIONED, NOTHING_HEARD, REMEMBERED, RULES, turned_round
from quart_chat.providers.demo_texts import INTRODUCTION, topic

LONGEST_HEARD = 2000
"""Characters of a message that the rules look at."""


def answer(turns: Sequence[PromptTurn]) -> str:
    """What the demo says next. After a turn of its own that is unfinished: the rest of it."""
    if turns[-1].role != Role.ASSISTANT:
        return _reply(turns)
    begun, before = turns[-1].content, turns[:-1]
    whole = _reply(before) if before else ""
    return whole[len(begun) :] if whole.startswith(begun) else " " + _pick(NOTHING_HEARD, begun)


def _reply(turns: Sequence[PromptTurn]) -> str:
    said = [turn.content[:LONGEST_HEARD] for turn in turns if turn.role == Role.USER]
    first = not any(turn.role == Role.ASSISTANT for turn in turns)
    question = said[-1].strip() if said else ""
    text = topic(question) or _small_talk(question, said[:-1])
    return (INTRODUCTION if first else "") + text


def _small_talk(question: str, earlier: Sequence[str]) -> str:
    seed = f"{len(earlier)} {question}"
    for rule in RULES:
        if (found := rule.pattern.search(question)) is not None:
            return _filled(_pick(rule.replies, seed), *found.groups())
    for text in reversed(earlier):
        if (mentioned := MENTIONED.search(text)) is not None:
            return _filled(_pick(REMEMBERED, seed), mentioned[1])
    return _pick(NOTHING_HEARD, seed)


def _filled(reply: str, *caught: str) -> str:
    return reply.replace("{0}", turned_round(caught[0])) if caught else reply


def _pick(choices: Sequence[str], seed: str) -> str:
    return choices[zlib.crc32(seed.encode("utf-8", "replace")) % len(choices)]
