"""What a blind hub keeps in its home: `hub.json`, in place of a store.

A blind hub has no secret of the space, no memory and no name of anything. What it was given at its pairing is all here: the
id of the space, a certificate for the TLS key that it made itself and that never leaves it, whom to trust, and where other
hubs are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from nokosu import config, filesystem, ids
from nokosu.errors import MeshError
from nokosu.mesh.certificates import Tls

HUB_NAME: Final = config.HUB_NAME
VERSION: Final = 1


class OlderRoots(Struct, frozen=True):
    """Certificates (PEM) of the space's older secrets, trusted until then (milliseconds since 1970): for devices that have
    not heard yet that it changed.
    """

    roots: str
    until_ms: int


class BlindHub(Struct, frozen=True, kw_only=True):
    """A blind hub, as its pairing made it. Zenoh's id `zid` and the `port` stay when it is paired again; `address` is where
    it listens, and `certificate`, `key` and `roots` are PEM. `peers` are the addresses of other hubs, to be dialled.
    """

    v: int
    space: bytes
    zid: str
    name: str
    port: int
    address: str
    certificate: str
    key: str
    roots: str
    older: tuple[OlderRoots, ...] = ()
    peers: tuple[str, ...] = ()
    added_ms: int = 0

    def tls(self, now_ms: int) -> Tls:
        """What its zenohd shows and trusts now; `changes_at` says until when."""
        still = [one.roots for one in self.older if now_ms < one.until_ms]
        return Tls("".join([self.roots, *still]).encode(), self.certificate.encode(), self.key.encode())

    def changes_at(self, now_ms: int) -> int | None:
        """When (milliseconds since 1970) `tls` gives something else next; None for never."""
        return min((one.until_ms for one in self.older if now_ms < one.until_ms), default=None)


def load(home: Path) -> BlindHub | None:
    """The blind hub of this home; None where there is none.

    Raises:
        MeshError: its file cannot be read, or is of a later version.
    """
    path = home / HUB_NAME
    try:
        hub = msgspec.json.decode(path.read_bytes(), type=BlindHub)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MeshError(f"{path} cannot be read ({error.strerror})", hint=f"ls -l {path}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MeshError(f"{path} is not what a pairing wrote ({error})", hint=_again(path)) from error
    if hub.v != VERSION or not ids.is_zenoh_id(hub.zid):
        raise MeshError(f"{path} is of another version ({hub.v}; this one knows {VERSION})", hint=_again(path))
    return hub


def save(home: Path, hub: BlindHub) -> None:
    """Keep a blind hub; whatever happens meanwhile, the file is the old one or this one.

    Raises:
        MeshError: it cannot be written.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        filesystem.replace(home / HUB_NAME, msgspec.json.format(msgspec.json.encode(hub)) + b"\n")
    except OSError as error:
        raise MeshError(f"{home / HUB_NAME} cannot be written ({error.strerror})", hint=f"ls -ld {home}") from error


def _again(path: Path) -> str:
    return f"mv {path} {path}.old; nokosu hub init --blind, and pair it anew"
