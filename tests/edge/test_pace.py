"""The pace of one address: a hurry waits, others do not, and a flood costs turns in advance."""

from __future__ import annotations

import asyncio
import time

from quart_chat.edge.pace import Pace

HASTY, OTHER = "192.0.2.1", "192.0.2.2"


async def seconds(pace: Pace, address: str, turns: int = 1) -> float:
    began = time.monotonic()
    await asyncio.gather(*(pace.turn(address) for _ in range(turns)))
    return time.monotonic() - began


async def test_what_is_within_the_burst_does_not_wait_and_what_is_beyond_waits_its_share() -> None:
    pace = Pace(per_second=50, at_once=10)
    assert await seconds(pace, HASTY, 10) < 0.1
    assert 0.15 < await seconds(pace, HASTY, 10) < 0.6
    assert await seconds(pace, OTHER) < 0.1


async def test_a_flood_is_paid_for_by_its_address_alone() -> None:
    pace = Pace(per_second=100, at_once=10)
    pace.charge(HASTY, 40)
    assert 0.25 < await seconds(pace, HASTY) < 0.8
    assert await seconds(pace, OTHER) < 0.1


async def test_addresses_that_have_their_whole_burst_again_are_forgotten() -> None:
    pace = Pace(per_second=1e9, at_once=1)
    for number in range(10_050):
        await pace.turn(f"2001:db8:{number:x}::1")
    assert len(pace._next) <= 10_000
