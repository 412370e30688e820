"""What libraries import although a process that only serves never uses it, and that costs a start something.

- Hypercorn 0.18 imports HTTP/2 whether it is spoken or not: 30 ms, 1.5 MB.
- httpx 0.28 imports its own command line, and with it Pygments' lists of lexers, where Pygments is installed: 15 ms.

tests/e2e/test_hypercorn_patches.py fails when one of them comes in by another way.
"""

from __future__ import annotations

import sys
from types import ModuleType

HTTP2 = ("h2", "h2.events", "hypercorn.protocol.h2")
COMMAND = "httpx._main"


def leave_out() -> None:
    """Before Hypercorn and httpx are imported; changes nothing after."""
    if "hypercorn.typing" not in sys.modules and "h2" not in sys.modules:
        h2, events, protocol = (ModuleType(name) for name in HTTP2)
        vars(h2)["events"] = events
        vars(protocol)["H2Protocol"] = None
        sys.modules.update(zip(HTTP2, (h2, events, protocol), strict=True))
    if "httpx" not in sys.modules:
        sys.modules[COMMAND] = None  # type: ignore[assignment]  # so that importing it fails, as it may
