"""Where a command was started: its configuration, and the store that it opens. Read here, once, for all commands."""

from __future__ import annotations

import os
from pathlib import Path

from nokosu import config, node_process
from nokosu.config import Config
from nokosu.nokosu import Nokosu


def configuration(*, by_agent: bool = False) -> Config:
    """The environment and the config file; *by_agent* when an agent starts us as its server.

    Raises:
        ConfigError: one of them is not valid.
    """
    try:
        cwd = Path.cwd()
    except OSError:  # it was removed, or may not be read
        cwd = None
    return config.load(os.environ, cwd=cwd, agent_first=by_agent)


def memory() -> Nokosu:
    """The store, to use in a `with` block."""
    return Nokosu(configuration())


def node() -> None:
    """See that the node runs if a space is shared; nothing is waited for, and nothing fails."""
    node_process.start_if_needed(configuration())
