"""nokosu: one shared long-term memory for all of a person's coding agents.

    from nokosu import Draft, Nokosu, Query

    with Nokosu.open() as memory:
        memory.save(Draft(text="Deploys run from the main branch only."))
        for hit in memory.search(Query(text="where do deploys run from")).hits:
            print(hit.id, hit.text)

Names are loaded when they are first used, so that a command line that needs none of this starts quickly.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nokosu.config import Config as Config
    from nokosu.drafts import Change as Change
    from nokosu.drafts import Draft as Draft
    from nokosu.drafts import Filters as Filters
    from nokosu.drafts import Query as Query
    from nokosu.errors import ConfigError as ConfigError
    from nokosu.errors import NokosuError as NokosuError
    from nokosu.errors import NotFound as NotFound
    from nokosu.errors import OutcomeUnknown as OutcomeUnknown
    from nokosu.errors import RecordRefused as RecordRefused
    from nokosu.errors import Refused as Refused
    from nokosu.errors import StoreDamaged as StoreDamaged
    from nokosu.errors import StoreError as StoreError
    from nokosu.errors import StoreFull as StoreFull
    from nokosu.errors import StoreLocked as StoreLocked
    from nokosu.errors import StoreReadOnly as StoreReadOnly
    from nokosu.errors import StoreUpgraded as StoreUpgraded
    from nokosu.errors import UsageError as UsageError
    from nokosu.memory import Hit as Hit
    from nokosu.memory import Hits as Hits
    from nokosu.memory import Memory as Memory
    from nokosu.memory import Saved as Saved
    from nokosu.nokosu import Nokosu as Nokosu
    from nokosu.records import Author as Author
    from nokosu.records import Record as Record

__version__ = "0.1.0"

_HOMES = {
    "Config": "config",
    **dict.fromkeys(("Change", "Draft", "Filters", "Query"), "drafts"),
    **dict.fromkeys(("ConfigError", "NokosuError", "NotFound", "OutcomeUnknown", "RecordRefused", "Refused"), "errors"),
    **dict.fromkeys(("StoreDamaged", "StoreError", "StoreFull", "StoreLocked", "StoreReadOnly"), "errors"),
    **dict.fromkeys(("StoreUpgraded", "UsageError"), "errors"),
    **dict.fromkeys(("Hit", "Hits", "Memory", "Saved"), "memory"),
    "Nokosu": "nokosu",
    **dict.fromkeys(("Author", "Record"), "records"),
}

__all__ = [
    "Author", "Change", "Config", "ConfigError", "Draft", "Filters", "Hit", "Hits", "Memory", "Nokosu", "NokosuError", "NotFound",
    "OutcomeUnknown", "Query", "Record", "RecordRefused", "Refused", "Saved", "StoreDamaged", "StoreError", "StoreFull",
    "StoreLocked", "StoreReadOnly", "StoreUpgraded", "UsageError", "__version__",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nokosu' has no attribute {name!r}")
    return getattr(import_module(f"nokosu.{_HOMES[name]}"), name)
