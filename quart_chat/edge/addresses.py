"""Addresses of clients: whose they are for counting, and whether a proxy we know has one."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address
SITE_BITS = 64


def parse_address(text: str) -> Address | None:
    """The address in `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]:80`; None for anything else. Mapped IPv4 becomes IPv4."""
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def counted_as(text: str) -> str:
    """Under what an address is counted: an IPv6 client owns its whole /64, so that is one."""
    address = parse_address(text)
    if isinstance(address, IPv6Address):
        return str(ip_network((address, SITE_BITS), strict=False))
    return str(address) if address is not None else text


class Networks:
    """The networks named in a setting, with commas; `address in networks`."""

    def __init__(self, text: str) -> None:
        self._networks = [ip_network(item.strip()) for item in text.split(",") if item.strip()]

    def __contains__(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def last_outside(self, hops: Iterable[str]) -> Address | None:
        """Of a list that every hop appended to: the last that is not ours, as nobody we trust vouches for more.

        If all are ours the first; None if there is none that can be read before.
        """
        found: Address | None = None
        for hop in reversed(list(hops)):
            address = parse_address(hop)
            if address is None:
                break
            found = address
            if address not in self:
                break
        return found
