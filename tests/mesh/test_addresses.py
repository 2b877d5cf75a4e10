"""This machine's addresses, in the order in which they are useful, and addresses as people type them."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from nokosu.errors import UsageError
from nokosu.mesh import addresses


def test_addresses_of_the_local_network_come_first_and_what_nobody_can_use_is_left_out() -> None:
    found = [
        ("lo", "127.0.0.1"),
        ("lo", "::1"),
        ("docker0", "172.17.0.1"),
        ("br-5d3", "172.18.0.1"),
        ("eth0", "2001:db8::5"),
        ("eth0", "fe80::1"),
        ("tailscale0", "100.101.5.9"),
        ("wlan0", "169.254.7.7"),
        ("eth0", "192.168.1.5"),
        ("eth0", "192.168.1.5"),
    ]
    ordered = addresses.ordered([(name, ip_address(text)) for name, text in found])
    assert ordered == ["192.168.1.5", "100.101.5.9", "2001:db8::5", "172.17.0.1", "172.18.0.1"]


def test_the_loopback_is_named_only_where_there_is_nothing_else() -> None:
    assert addresses.ordered([("lo", ip_address("127.0.0.1")), ("lo", ip_address("::1"))]) == ["127.0.0.1"]
    assert addresses.ordered([]) == ["127.0.0.1"]


def test_a_listener_on_one_address_is_reached_there_alone() -> None:
    assert addresses.reachable("127.0.0.1", 5) == ("127.0.0.1:5",)
    assert addresses.reachable("fd00::2", 5) == ("[fd00::2]:5",)
    everywhere = addresses.reachable("0.0.0.0", 5)
    assert len(everywhere) >= 1
    assert [addresses.parse(one).port for one in everywhere] == [5] * len(everywhere)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("192.168.1.5:41234", "192.168.1.5", 41234),
        ("desk.local:1", "desk.local", 1),
        (" desk:65535 ", "desk", 65535),
        ("[fd00::2]:41234", "fd00::2", 41234),
        ("[fe80::1%eth0]:41234", "fe80::1%eth0", 41234),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, host: str, port: int) -> None:
    read = addresses.parse(text)
    assert (read.host, read.port) == (host, port)
    assert addresses.parse(str(read)) == read


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "desk",
        "desk:",
        ":5",
        "desk:0",
        "desk:65536",
        "desk:٣",
        "desk:-1",
        "desk:5:5",
        "fd00::2:5",
        "[fd00::2]",
        "[desk]:5",
        "[]:5",
        "de sk:5",
        "desk/x:5",
        "-desk:5",
        "desk\x1b:5",
        "tcp/1.2.3.4:5",
        "x" * 300 + ":5",
        "*:5",
        "港:5",
        "[fe80::1%\x1b]:5",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"address: .* is not HOST:PORT") as refused:
        addresses.parse(text)
    assert refused.value.field == "address"
    assert refused.value.message.isprintable()
    assert len(refused.value.message) < 300


@pytest.mark.parametrize("text", ["", "desk", "192.168.1", "192.168.1.5:1", "[::1]", "0", "1.2.3.4/8"])
def test_what_to_listen_at_is_an_ip_address(text: str) -> None:
    with pytest.raises(UsageError, match=r"listen: .* is not an IP address"):
        addresses.ip(text, field="listen")
    assert addresses.ip("::1", field="listen") == "::1"
