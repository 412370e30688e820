"""Which names a code fence may give to which highlighter; anything else is shown without colours.

Only lexers that stay fast on hostile input are listed (html, xml, lua, julia, rust and c++ do not).
"""

from __future__ import annotations

MAX_LABEL = 24

_ALIASES = """
bash: sh shell zsh
c: h
csharp: cs c#
css:
dart:
diff: patch
docker: dockerfile
elixir: ex exs
go: golang
graphql: gql
haskell: hs
ini: cfg conf
java:
javascript: js mjs cjs jsx node
json: jsonc json5
kotlin: kt
make: makefile
nginx:
perl: pl
powershell: ps1 pwsh
python: py py3 python3
r:
ruby: rb
scala:
sql: sqlite mysql psql postgresql
swift:
toml:
typescript: ts tsx
yaml: yml
"""


def _parse(text: str) -> dict[str, str]:
    names = {}
    for line in text.strip().splitlines():
        name, _, aliases = line.partition(":")
        names.update(dict.fromkeys([name, *aliases.split()], name))
    return names


LEXERS = _parse(_ALIASES)
"""Fence name (lower case) → name of the lexer."""

LANGUAGE_NAMES = frozenset(LEXERS.values())


def fence_language(info: str) -> str:
    """The language a fence's info string names, at most `MAX_LABEL` characters, as the model wrote it."""
    words = info.split(maxsplit=1)
    return words[0][:MAX_LABEL] if words else ""
