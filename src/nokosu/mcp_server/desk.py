"""Where tool calls are worked off: one after another, in the one thread that uses `Nokosu`.

A call that is cancelled before its turn is not done; one that is being done is finished, because a commit is, and its answer is
dropped. What can wait, the search for a project's first commit and a look whether the node runs, waits until nobody has asked for
anything for a moment.
"""

from __future__ import annotations

import logging
from functools import partial
from importlib.resources import files
from threading import Thread
from typing import Any, Final

import msgspec

from nokosu import node_process
from nokosu.config import Config
from nokosu.errors import NokosuError, OutcomeUnknown, StoreError
from nokosu.mcp_server import render
from nokosu.mcp_server.render import Reply
from nokosu.mcp_server.tools import Tool
from nokosu.mcp_server.worker import Worker
from nokosu.nokosu import Nokosu
from nokosu.records import Author
from nokosu.semantic import process

CLOSE_WAIT_S: Final = 0.3
"""How long leaving waits for a call that is still at work; it holds no lock then, or ends with its commit."""

logger = logging.getLogger(__name__)


def instructions() -> str:
    """What an agent is told of nokosu when it connects: when to save, when to recall, and to trust nothing blindly."""
    return files("nokosu.mcp_server").joinpath("instructions.md").read_text(encoding="utf-8").strip()


class Desk:
    """Answers tool calls for one connection."""

    def __init__(self, config: Config) -> None:
        """Nothing is opened yet; the store is made at the first save."""
        self._config = config
        self._worker = Worker("nokosu-store")
        self._nokosu: Nokosu | None = None
        self._has_written = False

    def begin(self) -> None:
        """See that the node runs, in a thread that nobody waits for."""
        Thread(target=node_process.start_if_needed, args=(self._config,), name="nokosu-node", daemon=True).start()

    async def answer(self, tool: Tool, arguments: dict[str, Any], author: Author) -> Reply:
        """Do what a call asks for, as *author*; every error becomes a refusal."""
        return await self._worker.run(partial(self._answer, tool, arguments, author))

    def close(self) -> bool:
        """Close the store, unless a call that still waits for another process has it; whether it was closed."""
        return self._worker.close(self._close, wait_s=CLOSE_WAIT_S)

    def _answer(self, tool: Tool, arguments: dict[str, Any], author: Author) -> Reply:
        try:
            asked = tool.read(arguments)
            reply = tool.call(self._nokosu_of(author), asked)
        except NokosuError as error:
            if isinstance(error, StoreError):
                logger.warning("%s failed: %s", tool.name, type(error).__name__)
            return render.refusal(error)
        except Exception as error:
            logger.exception("%s failed", tool.name)
            words = (
                f"{tool.name}: internal error ({type(error).__name__}); a save may be repeated, it will not be doubled"
            )
            return render.refusal(OutcomeUnknown(words, hint="nokosu doctor"))
        self._has_written |= not tool.read_only
        self._worker.when_idle(self._tidy_up)
        return reply

    def _nokosu_of(self, author: Author) -> Nokosu:
        """The store as *author* writes it; a connection has one author, as good as always."""
        if self._nokosu is None or self._nokosu.config.author != author:
            self._close()
            self._nokosu = Nokosu(msgspec.structs.replace(self._config, author=author))
        return self._nokosu

    def _tidy_up(self) -> None:
        if self._has_written:
            self._has_written = False
            self._complete_project()
            process.start_if_needed(self._config)  # what was saved is read for its meaning, now that nobody waits
        node_process.start_if_needed(self._config)

    def _complete_project(self) -> None:
        try:
            if self._nokosu is not None:
                self._nokosu.complete_project()
        except Exception:
            logger.exception("the project's first commit could not be added")

    def _close(self) -> None:
        if self._nokosu is not None:
            self._nokosu.close()
            self._nokosu = None
