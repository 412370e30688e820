"""Lines of JSON come out whole and in order, however the bytes were cut."""

from __future__ import annotations

import json
from typing import Any

import pytest

from quart_chat.providers.ndjson import BadLineError, LineDecoder, LineTooLongError
from tests.doubles.recordings import body_bytes, chunk_bytes, exchanges

UNICODE = body_bytes("chat-unicode")
LINES: list[Any] = [json.loads(line) for line in UNICODE.split(b"\n") if line]


def decoded(*parts: bytes) -> list[Any]:
    decoder = LineDecoder(dict)
    found = [value for part in parts for value in decoder.feed(part)]
    return found + list(decoder.finish())


def test_a_stream_cut_at_any_byte_gives_the_same_objects() -> None:
    assert len(LINES) == 31
    for cut in range(len(UNICODE) + 1):
        assert decoded(UNICODE[:cut], UNICODE[cut:]) == LINES, cut


def test_single_bytes_give_the_same_objects() -> None:
    assert decoded(*(bytes([byte]) for byte in UNICODE)) == LINES


def test_the_recorded_pieces_cut_inside_characters_give_whole_objects() -> None:
    chunks = exchanges("chat-unicode-pieces")[0]["response"]["chunks"]
    pieces = [chunk_bytes(chunk) for _, chunk in chunks]
    assert any(isinstance(chunk, dict) for _, chunk in chunks), "the recording should cut inside characters"
    assert "".join(line["message"]["content"] for line in decoded(*pieces)) == "".join(
        line["message"]["content"] for line in LINES
    )


def test_only_newlines_end_a_line() -> None:
    text = '{"a":"x\u0085y\u2028z\u00a0\x0b"}'.replace("\x0b", "\\u000b")
    assert decoded(text.encode() + b"\n") == [{"a": "x\u0085y\u2028z\u00a0\x0b"}]


def test_blank_lines_and_carriage_returns_are_no_objects() -> None:
    assert decoded(b'\n\r\n  \n{"a":1}\r\n\n') == [{"a": 1}]


def test_the_last_object_may_lack_its_newline() -> None:
    assert decoded(b'{"a":1}\n{"b":2}') == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize("bad", [b"<html>\n", b"[1]\n", b"\xff\xfe\n", b'{"a":\n', b"[" * 100_000 + b"\n"])
def test_a_bad_line_is_told_after_the_good_ones(bad: bytes) -> None:
    decoder = LineDecoder(dict)
    feed = decoder.feed(b'{"a":1}\n' + bad)
    assert next(feed) == {"a": 1}
    with pytest.raises(BadLineError):
        next(feed)


def test_half_an_object_at_the_end_is_a_bad_line() -> None:
    decoder = LineDecoder(dict)
    assert list(decoder.feed(b'{"a":')) == []
    with pytest.raises(BadLineError):
        list(decoder.finish())


def test_a_line_may_not_grow_past_its_limit() -> None:
    decoder = LineDecoder(dict, limit=100)
    assert list(decoder.feed(b'{"a":"' + b"x" * 90)) == []
    with pytest.raises(LineTooLongError) as caught:
        list(decoder.feed(b"x" * 10))
    assert len(caught.value.line) <= 1000


def test_the_limit_counts_each_line_anew() -> None:
    line = b'{"a":"' + b"x" * 80 + b'"}\n'
    decoder = LineDecoder(dict, limit=100)
    assert len([value for _ in range(50) for value in decoder.feed(line)]) == 50
