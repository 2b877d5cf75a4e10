"""How far a storage is, as a person says it; pure. What it is told from is one of the `storages` of `control.status`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

from nokosu import delivery, times


def told(storage: Mapping[str, Any], now_ms: int, zone: tzinfo | None = None) -> str:
    """One line: "hub nas has everything", "12 not yet on hub nas, last seen Tuesday"; *zone* is another place's time, for
    tests.
    """
    pending = storage["pending"]
    parts = [
        _held(storage, delivery.last_seen(_moment(storage), now_ms, zone)),
        f"{pending:,} purged there may still have their text" if pending else "",
        storage["problem"],
    ]
    return "; ".join(part for part in parts if part)


def name(storage: Mapping[str, Any]) -> str:
    """How it is called: by the roster's name for a hub, else by its Zenoh id."""
    if storage["own"]:
        return "this device's zenohd"
    return f"hub {storage['name']}" if storage["name"] else f"zenohd {storage['zid'][:8]}"


def _held(storage: Mapping[str, Any], seen: str) -> str:
    who, lacking, is_here = name(storage), storage["lacking"], storage["reachable"]
    if lacking is None:
        return f"{who} is connected, and being compared" if is_here else f"{who} is not reached, {seen}"
    if not lacking:
        return f"{who} has everything" if is_here else f"{who} had everything, {seen}"
    return f"{lacking:,} not yet on {who}" if is_here else f"{lacking:,} not yet on {who}, {seen}"


def _moment(storage: Mapping[str, Any]) -> str | None:
    seen = storage["seen_ms"]
    return times.format_ms(seen) if seen else None
