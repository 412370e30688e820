"""What the demo can tell in its own words: about itself, about Ollama, and pieces to look at."""

from __future__ import annotations

import re

INTRODUCTION = (
    "*This is the demo, not a language model: a few rules that turn your words round. "
    "It needs no Ollama and knows nothing.*\n\n"
)

WHAT_IS_THIS = """\
This is **quart-chat**, a chat for language models that run on your own machine with Ollama.

- Your chats stay on the machine that runs this page.
- An answer goes on when you close the tab; come back and it is there.
- Every tab that looks at a chat sees the same thing.

You are talking to the built-in demo right now. As soon as Ollama runs and has a model, choose it at the top.
"""

HOW_TO_START = """\
1. Install Ollama from <https://ollama.com/download>.
2. Start it. On a desktop it starts by itself; on a server run:

   ```bash
   ollama serve
   ```

3. Download a model, for example a small one:

   ```bash
   ollama pull llama3.2
   ```

This page notices it within a few seconds. Then choose the model at the top.
"""

MARKDOWN = """\
## What an answer can look like

Text can be **bold**, *leaning* or `code`, and it can have [links](https://ollama.com).

1. First things first
2. then the rest
   - with an aside
   - and another

| Size | Memory | Good for |
|:-----|-------:|:---------|
| 1B | 2 GB | quick answers |
| 8B | 8 GB | most things |
| 70B | 48 GB | hard questions |

> A quotation stands a little apart.

```python
def greet(name: str) -> str:
    return f"Hello, {name}!"


print(greet("world"))
```

- [x] shown as a list
- [ ] still to do
"""

STORY = """\
### The lighthouse that counted

There was once a lighthouse that counted ships. Nobody had asked it to. Every evening, when the lamp \
came on, it looked out over the water, and for each light that passed it made a small mark on the inside \
of its door.

The keeper, a patient woman called Ilse, found the marks one morning and thought of mice. She painted \
the door. The next evening there were seven marks, and the evening after that eleven.

"Who are you counting for?" she asked, because she had lived alone long enough to ask such things aloud.

The lighthouse did not answer, since lighthouses do not. But that night a fog came up, thick as wool, \
and the harbour master rang to say that all the boats were home and she could rest her eyes.

Ilse looked at the door. There were twelve marks on it, and she had seen the harbour book: thirteen \
boats had gone out.

She did not stop to wonder how she knew. She lit the second lamp, the old one with the bad temper, and \
she pulled the rope of the bell until her hands were raw. It was almost morning when a thirteenth mark \
appeared on the door, quite softly, and below the cliff somebody laughed with relief.

After that she never painted the door again. When it was full she hung a new one beside it, and in the \
winter evenings, when no ships came, she would sit between the two and tell the lighthouse what the \
numbers meant.
"""

HELP = """\
I am only the demo, but I can show you around. Try one of these:

- **What is this?**
- **How do I start Ollama?**
- **Show me Markdown**
- **Tell me a story**

Or just talk to me.
"""

TOPICS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), text)
    for pattern, text in (
        (r"\b(?:markdown|formatting|table|code block|code example)\b", MARKDOWN),
        (r"\b(?:story|tale|something long(?:er)?|long answer)\b", STORY),
        (
            r"\b(?:start|install|run|set up|setup|get|use|download)\b.*\b(?:ollama|model|llm)s?\b"
            r"|\bollama (?:serve|pull|install)",
            HOW_TO_START,
        ),
        (
            r"\bwhat(?: is|'s) (?:this|that|quart-?chat)\b|\bwhat are you\W*$|\bwho are you\b|\babout this\b",
            WHAT_IS_THIS,
        ),
        (r"^\W*help\W*$|\bwhat can (?:you|i) (?:do|ask|say)\b", HELP),
    )
)


def topic(question: str) -> str | None:
    """The text that answers it, if it is one of the few things the demo knows."""
    return next((text for pattern, text in TOPICS if pattern.search(question)), None)
