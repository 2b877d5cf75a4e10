"""Where this machine can be reached, and addresses as people type them: HOST:PORT, an IPv6 host in brackets."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from typing import Final

import ifaddr
from msgspec import Struct

from nokosu import limits
from nokosu.errors import UsageError

ANYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - only compared with
_INSIDE: Final = re.compile(r"(docker|br-|virbr|veth|vmnet|vboxnet|cni|lxc|podman)")  # networks inside this machine
_LAN: Final = tuple(map(ipaddress.IPv4Network, ("192.168.0.0/16", "10.0.0.0/8", "172.16.0.0/12")))
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9.])?")
_IPV6: Final = re.compile(r"\[[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9._-]{1,32})?\]")  # its interface behind the %
_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


class Address(Struct, frozen=True):
    """A host, by name or number, and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return shown(self.host, self.port)


def shown(host: str, port: int) -> str:
    """An address as it is typed.

    >>> shown("192.168.1.5", 41234), shown("fd00::2", 41234)
    ('192.168.1.5:41234', '[fd00::2]:41234')
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse(text: str, *, field: str = "address") -> Address:
    """Read an address.

    Raises:
        UsageError: it is not a host and a port; names *field*.
    """
    host, _, port = text.strip().rpartition(":")
    if len(text) <= limits.ADDRESS_CHARS_MAX and re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 1 << 16:
        if _IPV6.fullmatch(host) and _is_ip(host[1:-1], 6):
            return Address(host[1:-1], int(port))
        if _HOST.fullmatch(host):
            return Address(host, int(port))
    example = "192.168.1.5:41234, desk.local:41234 or [fd00::2]:41234"
    raise UsageError(f"{field}: {text[:60]!a} is not HOST:PORT, such as {example}", field=field)


def is_address(text: str) -> bool:
    """Whether it can be read as a host and a port."""
    try:
        parse(text)
    except UsageError:
        return False
    return True


def ip(text: str, *, field: str) -> str:
    """Read the address of an interface of this machine, without a port.

    Raises:
        UsageError: it is no IP address; names *field*.
    """
    if not (_is_ip(text, 4) or _is_ip(text, 6)):
        raise UsageError(f"{field}: {text[:60]!a} is not an IP address of this machine", field=field)
    return text


def own_hosts() -> list[str]:
    """This machine's addresses, the most useful first: of the local network, then others, then IPv6, then networks inside
    this machine; its own loopback only if there is nothing else.
    """
    found = [
        (adapter.nice_name, ipaddress.ip_address(one.ip if isinstance(one.ip, str) else one.ip[0]))
        for adapter in ifaddr.get_adapters()
        for one in adapter.ips
    ]
    return ordered(found)


def ordered(found: Iterable[tuple[str, _Ip]]) -> list[str]:
    """Addresses by usefulness, each with the name of its interface; what nobody else could use is left out."""
    usable = [(name, address) for name, address in found if not (address.is_loopback or address.is_link_local)]
    best_first = sorted(usable, key=lambda one: _rank(*one))
    return list(dict.fromkeys(str(address) for _, address in best_first)) or ["127.0.0.1"]


def local_name() -> str:
    """This machine's name where mDNS is spoken: laptop.local."""
    host = socket.gethostname().split(".")[0]
    return f"{host}.local" if _HOST.fullmatch(host) else ""


def reachable(listen: str, port: int) -> tuple[str, ...]:
    """The addresses at which others may reach a listener of this machine on the address *listen*."""
    hosts = [*own_hosts(), local_name()] if listen in ANYWHERE else [listen]
    return tuple(shown(host, port) for host in hosts if host)


def _rank(name: str, address: _Ip) -> int:
    if _INSIDE.match(name):
        return 3
    if address.version == 6:
        return 2
    return 0 if any(address in network for network in _LAN) else 1


def _is_ip(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False
