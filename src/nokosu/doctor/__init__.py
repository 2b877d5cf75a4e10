"""Is everything as it should be? Each check tells the truth about one thing and names the next command to type."""

from __future__ import annotations

from nokosu.config import Config
from nokosu.doctor import home, store
from nokosu.doctor.result import Result

__all__ = ["Result", "examine"]


def examine(config: Config) -> list[Result]:
    """Run every check; a check that cannot run because an earlier one failed is left out."""
    results = home.checks(config)
    if any(result.level == "fail" and result.name == "home" for result in results):
        return results
    return results + store.checks(config)
