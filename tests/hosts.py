"""Hosts for tests of the mesh: network namespaces on a switch of their own, each with a home, all gone with the test.

Made by root, or by anybody in a user namespace where the kernel allows that. A host is a process that holds its namespace,
so nothing is left behind when the test is killed: no names in /run/netns, no interfaces on the machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final, Self

from tests.homes import Home, stop

NETWORK: Final = "10.77.0"


class Unavailable(Exception):
    """This machine makes no network namespaces for us; says why."""


class Host(Home):
    """One machine: a home with an address of its own, on a cable that can be pulled."""

    def __init__(self, network: Hosts, name: str, number: int, holder: subprocess.Popen[bytes], folder: Path) -> None:
        super().__init__(folder, name)
        self.address, self.listens_at = f"{NETWORK}.{number}", "0.0.0.0"
        self.link = f"port{number}"
        self._network = network
        self._holder = holder

    def command(self, *words: str) -> list[str]:
        """The command line that runs *words* on this host."""
        return [*self._network.enter(self._holder), *words]

    def unplug(self) -> None:
        """Pull the cable: nothing gets in or out."""
        self._network.on_switch("ip", "link", "set", self.link, "down")

    def plug(self) -> None:
        """Put the cable back."""
        self._network.on_switch("ip", "link", "set", self.link, "up")

    def deafen(self, other: Host) -> None:
        """What this host sends to *other* is lost; the other way still works."""
        self._run("ip", "route", "add", "blackhole", f"{other.address}/32")

    def undeafen(self, other: Host) -> None:
        """It is heard again."""
        self._run("ip", "route", "del", "blackhole", f"{other.address}/32")

    def move_to(self, number: int) -> None:
        """Get another address, as in another network."""
        self._run("ip", "addr", "flush", "dev", "eth0")
        self.address = f"{NETWORK}.{number}"
        self._run("ip", "addr", "add", f"{self.address}/24", "dev", "eth0")

    def bytes_in_and_out(self) -> int:
        """Bytes that the interface has carried, both ways."""
        done = subprocess.run(
            self.command("ip", "-json", "-statistics", "link", "show", "eth0"),
            capture_output=True,
            text=True,
            check=True,
        )
        stats = json.loads(done.stdout)[0]["stats64"]
        return int(stats["rx"]["bytes"]) + int(stats["tx"]["bytes"])

    def _run(self, *words: str) -> None:
        self._network.run(self._holder, *words)


class Hosts:
    """Hosts on one switch. Use it in a `with` block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._as_root = os.geteuid() == 0
        self._holders: list[subprocess.Popen[bytes]] = []
        self._switch: subprocess.Popen[bytes]
        self.all: dict[str, Host] = {}

    def __enter__(self) -> Self:
        for tool in ("ip", "unshare", "nsenter"):
            if shutil.which(tool) is None:
                raise Unavailable(f"no {tool} on this machine (Debian: iproute2, util-linux)")
        self._switch = self._hold(
            ["unshare", "--net"] if self._as_root else ["unshare", "--user", "--map-root-user", "--net"]
        )
        try:
            self.on_switch("ip", "link", "add", "switch", "type", "bridge")
            self.on_switch("ip", "link", "set", "switch", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        stop(self.all.values())
        for holder in self._holders:
            with holder:
                holder.kill()

    def add(self, name: str) -> Host:
        """One more host."""
        number = len(self.all) + 1
        holder = self._hold([*self.enter(self._switch), "unshare", "--net"])
        host = Host(self, name, number, holder, self._folder)
        self.on_switch("ip", "link", "add", host.link, "type", "veth", "peer", "name", "eth0", "netns", str(holder.pid))
        self.on_switch("ip", "link", "set", host.link, "master", "switch", "up")
        self.run(holder, "ip", "link", "set", "lo", "up")
        self.run(holder, "ip", "addr", "add", f"{host.address}/24", "dev", "eth0")
        self.run(holder, "ip", "link", "set", "eth0", "up")
        self.all[name] = host
        return host

    def enter(self, holder: subprocess.Popen[bytes]) -> list[str]:
        """The command line that runs what follows it where *holder* is."""
        user = [] if self._as_root else ["--user", "--preserve-credentials"]
        return ["nsenter", f"--target={holder.pid}", *user, "--net"]

    def on_switch(self, *words: str) -> None:
        """Run a command on the switch."""
        self.run(self._switch, *words)

    def run(self, holder: subprocess.Popen[bytes], *words: str) -> None:
        """Run a command, which has to succeed, where *holder* is."""
        done = subprocess.run([*self.enter(holder), *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(f"{' '.join(words)}: {done.stderr.strip() or done.returncode}")

    def _hold(self, command: list[str]) -> subprocess.Popen[bytes]:
        """A process that does nothing but hold its new namespaces; it has said that it is there."""
        holder = subprocess.Popen(
            [*command, "sh", "-c", "echo here; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._holders.append(holder)
        assert holder.stdout is not None
        if holder.stdout.readline() != b"here\n":
            raise Unavailable(f"{' '.join(command)}: the kernel refuses")
        return holder
