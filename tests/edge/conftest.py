"""The whole product on a real port, as for the tests of the web layer."""

from __future__ import annotations

from tests.web.conftest import site

__all__ = ["site"]
