"""A value as one JSON document on stdout, with the field names that every surface uses."""

from __future__ import annotations

import msgspec

from nokosu.cli import output


def write(value: object) -> None:
    """Write *value*, exactly."""
    output.document(msgspec.json.encode(value) + b"\n")
