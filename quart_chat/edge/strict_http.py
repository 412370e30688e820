"""HTTP/1.1 as strictly as behind a proxy it has to be read."""

from __future__ import annotations

import re

import h11

END_OF_HEAD = re.compile(rb"\r\n\r\n|(?<!\r)\n")


class StrictConnection(h11.Connection):
    """Refuses what a proxy before us might read differently (request smuggling), and the preface of HTTP/2.

    Raised here because only here Hypercorn expects it.
    """

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        if self.their_state is h11.IDLE:
            found = END_OF_HEAD.search(self.trailing_data[0])
            if found is not None and found[0] == b"\n":
                raise h11.RemoteProtocolError("a line that ends in LF alone")
        event = super().next_event()
        if isinstance(event, h11.Request):
            if not event.http_version.startswith(b"1."):
                raise h11.RemoteProtocolError("only HTTP/1 is spoken here", error_status_hint=505)
            if {b"content-length", b"transfer-encoding"} <= {name for name, _ in event.headers}:
                raise h11.RemoteProtocolError("two lengths of one body")
        return event


class EndedConnection:
    """Takes the place of a connection whose client has left: nothing more comes, and what is sent goes nowhere."""

    our_state = None
    their_state = None
    they_are_waiting_for_100_continue = False
    trailing_data = (b"", True)

    def receive_data(self, data: bytes) -> None: ...

    def next_event(self) -> type[h11.NEED_DATA]:
        return h11.NEED_DATA

    def send(self, event: h11.Event) -> bytes:
        return b""


ENDED = EndedConnection()
