"""What a check found."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Result(Struct, frozen=True):
    """The result of one check: `hint` is the next command to type, `details` are lines for whoever wants to know
    more.
    """

    name: str
    level: Literal["ok", "warn", "fail"]
    summary: str
    hint: str = ""
    details: tuple[str, ...] = ()
