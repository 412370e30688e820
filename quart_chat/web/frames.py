"""A frame on the socket: the ChatEvent envelope, what it is a difference of, and where it leads."""

from __future__ import annotations

from typing import Any

import msgspec

from quart_chat.live.document import Document, Frame

_encode = msgspec.json.Encoder().encode


def body(type_: str, payload: dict[str, Any], **more: Any) -> str:
    """The frame without its cursor; the same text for every viewer at the same revision."""
    return _encode({"type": type_, "payload": payload, **more}).decode()


def with_cursor(frame: str, cursor: str) -> str:
    return f'{{"cursor":"{cursor}",{frame[1:]}'


def page_frame(
    document: Document, type_: str, payload: dict[str, Any], content: str, previous: int | None
) -> list[Frame]:
    """One frame for a page: `content` is what htmx swaps; it is applied only to a page at `prev` (None: always)."""
    rev = document.rev
    text = body(
        type_,
        payload,
        doc=document.name,
        epoch=document.revisions.epoch,
        prev=previous,
        rev=rev,
        content=content,
    )
    return [(text, rev)]


def error_frame(error: str, code: str, *, retry: bool = False, **more: Any) -> str:
    """Not part of the state: for one viewer, applied always."""
    return body("error", {"error": error, "code": code, "retry": retry, **more}, content="")


def partial(target: str, swap: str, html: str) -> str:
    return f'<hx-partial hx-target="#{target}" hx-swap="{swap}">{html}</hx-partial>'
