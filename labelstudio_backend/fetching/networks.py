"""Which network addresses may be connected to, whatever they are wrapped in."""

import ipaddress
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

__all__ = ["IPAddress", "is_connectable", "is_public", "unwrapped"]

IPAddress: TypeAlias = IPv4Address | IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.IPv6Network("64:ff9b:1::/48")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_THIS_NETWORK = ipaddress.IPv4Network("0.0.0.0/8")


def unwrapped(address: IPAddress) -> tuple[IPAddress, ...]:
    """Every address that a packet to this one may end at: those inside of it, or itself.

    IPv4 travels inside IPv6 as mapped, 6to4, Teredo and NAT64 addresses. A mapped and a NAT64
    address is nothing but its inside; of the others, the outside counts as well.
    """
    if isinstance(address, IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _NAT64:
        return (IPv4Address(int(address) & 0xFFFF_FFFF),)
    if address.sixtofour is not None:
        return (address, address.sixtofour)
    if address.teredo is not None:
        return (address, *address.teredo)
    return (address,)


def is_public(address: IPAddress) -> bool:
    """Whether it is on the public Internet, inside and outside."""
    return all(_is_public(inner) for inner in unwrapped(address))


def is_connectable(address: IPAddress) -> bool:
    """Whether it is one computer, here, in a private network or a public one.

    Link-local addresses are none of these: a cloud's metadata service, with the machine's
    credentials, answers there.
    """
    return not any(_is_nowhere(inner) for inner in unwrapped(address))


def _is_public(address: IPAddress) -> bool:
    if address.is_multicast or address.is_reserved or _is_nowhere(address):
        return False
    return address.is_global and address not in _NAT64_LOCAL


def _is_nowhere(address: IPAddress) -> bool:
    if isinstance(address, IPv4Address):
        wrong = address in _THIS_NETWORK or address.is_reserved
    else:
        loopback = address.is_loopback
        wrong = address in _NAT64_LOCAL or (address in _COMPATIBLE and not loopback)
    return wrong or address.is_multicast or address.is_unspecified or address.is_link_local
