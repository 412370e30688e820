"""What one could download, in groups that a person chooses from: by how much it asks of a machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from quart_chat.library.catalogue import Offer

GB = 1_000_000_000
SIZES = (
    (2 * GB, "Up to 2 GB: quick on any machine"),
    (6 * GB, "2 to 6 GB: for 8 GB of memory"),
    (13 * GB, "6 to 13 GB: for 16 GB of memory"),
    (10**18, "More than 13 GB: for large machines"),
)
NEEDS = (0, 7 * GB, 15 * GB, 10**18)
"""Memory of a machine for which a group is a good start."""


class Group(Struct, frozen=True):
    """`open`: unfolded at first."""

    title: str
    offers: tuple[Offer, ...]
    open: bool = False


def grouped(offers: Iterable[Offer], memory: int) -> list[Group]:
    """Every offer once; unfolded are the engine's own suggestions and the largest group that suits the memory."""
    rest = list(offers)
    suggested = _take(rest, lambda offer: offer.recommended and not offer.remote)
    elsewhere = _take(rest, lambda offer: offer.remote)
    embedding = _take(rest, lambda offer: "embedding" in offer.capabilities)
    suits = max((at for at, need in enumerate(NEEDS) if memory >= need), default=0)
    groups = [Group("Ollama recommends", suggested, open=True)]
    for at, (most, title) in enumerate(SIZES):
        groups.append(Group(title, _take(rest, _up_to(most)), open=at == suits))
    groups.append(Group("For search and comparison: embeddings", embedding))
    groups.append(Group("Run elsewhere, not on this machine", elsewhere))
    return [group for group in groups if group.offers]


def _take(offers: list[Offer], wanted: Callable[[Offer], bool]) -> tuple[Offer, ...]:
    """Those that are wanted, out of the list."""
    taken = tuple(offer for offer in offers if wanted(offer))
    offers[:] = [offer for offer in offers if offer not in taken]
    return taken


def _up_to(most: int) -> Callable[[Offer], bool]:
    return lambda offer: offer.size <= most
