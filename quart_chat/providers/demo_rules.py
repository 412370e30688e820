"""The demo's small talk: what to listen for, and what to say to it."""

from __future__ import annotations

import re
from dataclasses import dataclass

REFLECTIONS = {
    "i": "you",
    "me": "you",
    "my": "your",
    "mine": "yours",
    "myself": "yourself",
    "am": "are",
    "i'm": "you're",
    "i've": "you've",
    "i'd": "you'd",
    "i'll": "you'll",
    "was": "were",
    "you": "I",
    "your": "my",
    "yours": "mine",
    "yourself": "myself",
    "you're": "I'm",
    "you've": "I've",
    "you'll": "I'll",
}


@dataclass(frozen=True)
class Rule:
    """`replies` are picked from by the text; {0} stands for what the pattern's group caught, turned round."""

    pattern: re.Pattern[str]
    replies: tuple[str, ...]


def _rule(pattern: str, *replies: str) -> Rule:
    return Rule(re.compile(pattern, re.IGNORECASE), replies)


RULES = (
    _rule(
        r"\b(?:sorry|apologi[sz]e)\b",
        "No need to be sorry. What were you about to say?",
        "That is quite all right. Go on.",
    ),
    _rule(
        r"\bi (?:don't|do not|can't|cannot|can not) (.+)",
        "What keeps you from it, if you don't mind my asking: why can't you {0}?",
        "Suppose that changed. What would be different if you did {0}?",
    ),
    _rule(
        r"\bi (?:need|want|would like|wish for) (.+)",
        "What would it change for you: {0}?",
        "Why {0}, of all things?",
        "Say it came true tomorrow morning. What would you do first?",
    ),
    _rule(
        r"\bi(?:'m| am) (?:so |very |quite |really )?(sad|tired|worried|afraid|lonely|angry|bored)\b",
        "I am sorry to hear that you feel {0}. When did it begin?",
        "Being {0} is no fun. What usually helps?",
    ),
    _rule(
        r"\bi(?:'m| am) (?:so |very |quite |really )?(happy|glad|excited|proud|curious|relieved)\b",
        "Good to hear. What made you {0}?",
        "It is nice to be {0}. Who else knows about it?",
    ),
    _rule(
        r"\bi(?:'m| am) (.+)",
        "How long have you been {0}?",
        "Is it good or bad, being {0}?",
        "What made you say that you are {0}?",
    ),
    _rule(
        r"\bi (?:feel|felt) (.+)",
        "Do you often feel {0}?",
        "What else comes up when you feel {0}?",
    ),
    _rule(
        r"\bi (?:think|believe|guess|suppose) (?:that )?(.+)",
        "What makes you think {0}?",
        "Would somebody you trust also say {0}?",
    ),
    _rule(
        r"\bi remember (.+)",
        "What brings {0} back to you just now?",
        "And what else do you see when you think of {0}?",
    ),
    _rule(
        r"\bare you (.+?)\??$",
        "What made you wonder whether I am {0}?",
    ),
    _rule(
        r"\b(?:can|could|would|will|do) you (.+?)\??$",
        "What if I could {0}? I am a handful of rules, so do not count on me. What made you ask?",
        "I turn words round, and that is about all. Why do you ask me that?",
    ),
    _rule(
        r"\bmy (mother|father|mum|dad|sister|brother|wife|husband|son|daughter|family|friend|boss|cat|dog)\b",
        "Tell me more about your {0}.",
        "What is your {0} like?",
        "What comes to mind first when you think of your {0}?",
    ),
    _rule(
        r"\bmy (.+)",
        "Your {0}: is that what matters most today?",
        "What do others say about your {0}?",
    ),
    _rule(
        r"\bwhy (?:don't|won't|can't) you (.+?)\??$",
        "Perhaps I will {0} one day. With a real model this chat could do much more.",
    ),
    _rule(
        r"\b(?:because|since) (.+)",
        "Is that the whole reason?",
        "If it is true that {0}, what else must be true?",
    ),
    _rule(
        r"\b(?:dream|dreamt|dreamed)\b",
        "What was the strangest thing in that dream?",
        "Do you dream in colours or in words?",
    ),
    _rule(
        r"\b(?:always|never|every time|nobody|everybody)\b",
        "Can you think of one exception?",
        "That is a large word. When did it last happen?",
    ),
    _rule(
        r"\b(?:computer|machine|program|ai|artificial intelligence|robot)s?\b",
        "Machines come up often here. What should one never do?",
        "I am a very small program myself. What would you ask a large one?",
    ),
    _rule(
        r"\b(?:thanks|thank you|thx)\b",
        "You are welcome. Shall we go on?",
        "Gladly. Anything else on your mind?",
    ),
    _rule(r"\b(?:bye|goodbye|good night|see you)\b", "Goodbye. This chat stays here until you delete it."),
    _rule(r"^\W*(?:yes|yeah|yep|sure|right|exactly)\b", "Good. And then?", "You sound certain. Go on."),
    _rule(r"^\W*(?:no|nope|not really)\b", "Why not?", "What would have to change for a yes?"),
    _rule(
        r"^\W*(?:hi|hello|hey|good (?:morning|evening|afternoon))\b",
        "Hello! What is on your mind?",
        "Good to see you. What shall we talk about?",
    ),
    _rule(
        r"\?\s*$",
        "That is a good question, and I have no knowledge to answer it with. What do you think yourself?",
        "I can only turn questions round: what would a good answer look like?",
        "A real language model could try to answer that. Would you like to know how to start Ollama?",
    ),
)

NOTHING_HEARD = (
    "Please go on.",
    "Tell me more about that.",
    "I see. What happened then?",
    "And how was that for you?",
    "What is the most important part of it?",
)

REMEMBERED = (
    "Earlier you spoke of your {0}. Does this have to do with it?",
    "Let us go back for a moment: what about your {0}?",
)

MENTIONED = re.compile(r"\bmy (\w{3,})", re.IGNORECASE)
"""What is worth coming back to when nothing else was heard."""


def turned_round(text: str) -> str:
    """ "my dog and you" becomes "your dog and I"; what ends a sentence ends here."""
    words = re.split(r"[.!?;\n]", text, maxsplit=1)[0].strip().split()
    return " ".join(REFLECTIONS.get(word.lower(), word) for word in words)
