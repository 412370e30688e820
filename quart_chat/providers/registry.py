"""Which provider answers for which model."""

from __future__ import annotations

from typing import Literal

from quart_chat.errors import ModelNotFoundError
from quart_chat.providers.base import Provider
from quart_chat.providers.demo import DEMO_MODEL

DemoMode = Literal["auto", "on", "off"]


class Providers:
    """The demo answers for its own name only, and for nothing when `demo_mode` is off."""

    def __init__(self, ollama: Provider, demo: Provider, demo_mode: DemoMode = "auto") -> None:
        self._ollama = ollama
        self._demo = demo
        self.demo_mode: DemoMode = demo_mode

    @property
    def primary(self) -> Provider:
        return self._ollama

    @property
    def demo(self) -> Provider | None:
        """None when it is switched off."""
        return None if self.demo_mode == "off" else self._demo

    def for_model(self, name: str) -> Provider:
        if name != DEMO_MODEL:
            return self._ollama
        if self.demo is None:
            raise ModelNotFoundError("The demo is switched off here. Choose another model.")
        return self.demo

    def all(self) -> tuple[Provider, ...]:
        return (self._ollama,) if self.demo is None else (self._ollama, self.demo)

    async def close(self) -> None:
        """Closes both, also when the first fails to."""
        try:
            await self._ollama.close()
        finally:
            await self._demo.close()
