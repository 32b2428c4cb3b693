"""How much of the server one address may take: places that are held, and a rate of requests."""

from __future__ import annotations

import ipaddress
import math
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Final, Literal

Refused = Literal["all", "own"]
"""Whether all places are taken, or those of one address."""

_IPV6_NETWORK: Final = 64
_ADDRESSES: Final = 10_000
"""Number of addresses whose rate is remembered; one that is forgotten starts with a full burst."""


def address_key(host: str) -> str:
    """Name of a client in the counts: its address, or the network that a home has by IPv6."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _IPV6_NETWORK), strict=False))


class Places:
    """Places that requests hold while they last; used by one thread, that of the event loop.

    Args:
        in_all: Number of places.
        per_address: Number of places of one address.
    """

    def __init__(self, in_all: int, per_address: int) -> None:
        self._in_all, self._per_address = in_all, per_address
        self._held: Counter[str] = Counter()
        self._total = 0

    def refusal(self, address: str) -> Refused | None:
        """Why an address gets no further place; None if it would get one."""
        if self._held[address] >= self._per_address:
            return "own"
        return "all" if self._total >= self._in_all else None

    def take(self, address: str) -> Refused | None:
        """Take a place; why not if there is none."""
        refused = self.refusal(address)
        if refused is None:
            self._held[address] += 1
            self._total += 1
        return refused

    def free(self, address: str) -> None:
        """Give a place back."""
        self._total -= 1
        self._held[address] -= 1
        if self._held[address] <= 0:
            del self._held[address]


class Rate:
    """Requests per second of each address on average, with a burst (a token bucket).

    Args:
        per_second: Requests per second.
        burst: Requests that may come at once after a pause.
        clock: Returns the time in seconds.
    """

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float]) -> None:
        self._per_second, self._burst, self._clock = per_second, max(burst, 1.0), clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, address: str) -> int:
        """Count a request; whole seconds after which it may be repeated, 0 if it may pass."""
        now = self._clock()
        left, when = self._left.pop(address, (self._burst, now))
        left = min(left + (now - when) * self._per_second, self._burst)
        passes = left >= 1
        self._left[address] = (left - 1 if passes else left, now)
        if len(self._left) > _ADDRESSES:
            self._left.popitem(last=False)
        return 0 if passes else max(math.ceil((1 - left) / self._per_second), 1)
