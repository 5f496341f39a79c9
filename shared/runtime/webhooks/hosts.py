"""Which addresses alerts may be sent to: a route must not become a way into the network that the monitor runs in.

The address that was checked is the one that is connected to, so that a name cannot mean another host a moment later.
"""

import asyncio
import socket
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from shared.runtime.settings import Settings

MAX_URL = 2_000
_PORTS = {"http": 80, "https": 443}


class NotAllowed(Exception):
    """Alerts must not go to this address; `str(error)` says why and what would allow it."""


class Unresolvable(Exception):
    """The name has no address at the moment."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Where to connect: `url` by number, `host` for the Host header and the certificate."""

    url: str
    host: str
    name: str


def parsed(url: str, settings: Settings) -> SplitResult:
    """The parts of an address that may be told, as far as can be seen without asking the DNS. Raises NotAllowed."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise NotAllowed(f"'{url[:100]}' is no URL: {error}") from error
    if len(url) > MAX_URL or not parts.hostname or parts.scheme not in _PORTS or parts.username or parts.fragment:
        raise NotAllowed("it takes a URL of http or https without user name and fragment")
    if parts.scheme == "http" and not settings.alert_private_networks:
        raise NotAllowed("http is not encrypted; use https (MUNIMENT_ALERT_PRIVATE_NETWORKS=true allows it)")
    if settings.alert_hosts and parts.hostname not in settings.alert_hosts:
        allowed = ", ".join(settings.alert_hosts)
        raise NotAllowed(f"{parts.hostname} is none of the hosts of MUNIMENT_ALERT_HOSTS ({allowed})")
    if port == 0:
        raise NotAllowed("port 0 is none")
    return parts


async def checked(url: str, settings: Settings) -> Checked:
    """Where to connect for an address. Raises NotAllowed, Unresolvable."""
    parts = parsed(url, settings)
    name, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unresolvable(f"{name} cannot be resolved: {error}") from error
    addresses = [str(one[4][0]) for one in found]
    for address in addresses:
        if not settings.alert_private_networks and not ip_address(address.split("%")[0]).is_global:
            fix = "MUNIMENT_ALERT_PRIVATE_NETWORKS=true allows it"
            raise NotAllowed(f"{name} is {address}, an address within a private network ({fix})")
    number = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
    host = parts.netloc.rpartition("@")[2]
    return Checked(parts._replace(netloc=f"{number}:{port}").geturl(), host, name)
