"""Hypercorn imports HTTP/2 whether it is spoken or not. We speak HTTP/1.1 alone, so its 30 ms and 1.5 MB are left out.

For Hypercorn 0.18; tests/e2e/test_hypercorn_patches.py fails when it comes in by another way.
"""

from __future__ import annotations

import sys
from types import ModuleType

PLACEHOLDERS = ("h2", "h2.events", "hypercorn.protocol.h2")


def leave_out_http2() -> None:
    """For a process that only serves, before Hypercorn is imported; changes nothing after."""
    if "hypercorn.typing" in sys.modules or "h2" in sys.modules:
        return
    h2, events, protocol = (ModuleType(name) for name in PLACEHOLDERS)
    vars(h2)["events"] = events
    vars(protocol)["H2Protocol"] = None
    sys.modules.update(zip(PLACEHOLDERS, (h2, events, protocol), strict=True))
