"""Label Studio's guard against private addresses: whether it stands between it and the backend.

From 1.23.1 on Label Studio connects to no private address, and that is where a backend usually is.
Two settings guard two things: ML_BLOCK_LOCAL_IP the model's address, SSRF_PROTECTION_ENABLED the
webhook's. Both stay on; the list of refused networks gets one hole for one computer.
"""

import ipaddress
import re
import socket
from urllib.parse import urlsplit

__all__ = ["REFUSED", "advice", "dotless", "recipe", "refused_block"]

_BLOCK = re.compile(r"reserved network address \(block: ([0-9a-fA-F.:/]+)\)")

REFUSED = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "::ffff:0:0/96",
    "::ffff:0:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/32",
    "2001:20::/28",
    "2001:db8::/32",
    "2002::/16",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
]
"""What Label Studio 1.23.2 refuses unless it is told otherwise."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def refused_block(said: str) -> str | None:
    """The network that a refusal of Label Studio's names; None for other refusals."""
    found = _BLOCK.search(said)
    return None if found is None else found[1]


def dotless(url: str) -> bool:
    """Whether Label Studio takes no webhook for this host: a bare name that is not localhost."""
    host = urlsplit(url).hostname or ""
    return "." not in host and ":" not in host and host != "localhost"


def advice(url: str) -> tuple[str, str]:
    """What to change where Label Studio runs, so that it may connect to the backend and no other.

    Parameters
    ----------
    url
        Of the backend, as Label Studio shall use it.

    Returns
    -------
    The sentence, and the variables to set.
    """
    host = urlsplit(url).hostname or ""
    address = _address(host)
    if address is None:
        return (
            f"Give the backend a fixed address, attach it by that instead of {host!r}, and run "
            "this again with --backend: the setting for Label Studio needs the number.",
            "",
        )
    return (
        "Leave ML_BLOCK_LOCAL_IP and SSRF_PROTECTION_ENABLED on, and start Label Studio with the "
        f"variables below: its usual list of refused networks without {address}. Turning only "
        "ML_BLOCK_LOCAL_IP off would attach the model without its webhook.",
        f"USE_DEFAULT_BANNED_SUBNETS=false\nUSER_ADDITIONAL_BANNED_SUBNETS={recipe(address)}",
    )


def recipe(address: str) -> str:
    """The networks that Label Studio refuses, with a hole for one address."""
    hole = ipaddress.ip_network(address)
    networks: list[Network] = []
    for text in REFUSED:
        network: Network = ipaddress.ip_network(text)
        if network.version == hole.version and hole.subnet_of(network):  # type: ignore[arg-type]
            networks += sorted(network.address_exclude(hole))  # type: ignore[arg-type]
        else:
            networks.append(network)
    return ",".join(map(str, networks))


def _address(host: str) -> str | None:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return None
    return str(found[0][4][0])
