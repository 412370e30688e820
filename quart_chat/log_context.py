"""What ties the lines of a log together: the id of the request on whose behalf something is done."""

from __future__ import annotations

from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Empty outside of requests. Tasks inherit it from whoever starts them."""
