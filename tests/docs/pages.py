"""The pages that people read, and what is in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]

EXECUTED: Final = ("console", "python")
SHOWN: Final = ("json", "sh", "sql", "text", "toml")
"""Languages of blocks that are only shown: `sh` is for what would change the machine, such as `make install`."""

_FENCE: Final = re.compile(r"^( *)```(\S*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_SPAN: Final = re.compile(r"`([^`\n]+)`")
_LINK: Final = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
_HEADING: Final = re.compile(r"^#+ +(.*?) *$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block: its language, and its lines."""

    language: str
    text: str


class Page:
    """One file of Markdown."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = _COMMENT.sub("", path.read_text(encoding="utf-8"))

    def __str__(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def prose(self) -> str:
        """The text outside its blocks."""
        return _FENCE.sub("", self.text)

    @property
    def blocks(self) -> list[Block]:
        """Its fenced blocks."""
        return [Block(language, text) for _, language, text in _FENCE.findall(self.text)]

    def has_blocks(self, *languages: str) -> bool:
        """Whether any block is of one of these languages."""
        return self.count_blocks(*languages) > 0

    def count_blocks(self, *languages: str) -> int:
        """How many blocks are of one of these languages."""
        return sum(block.language in languages for block in self.blocks)

    @property
    def spans(self) -> list[str]:
        """The pieces of code in its prose."""
        return _SPAN.findall(self.prose)

    @property
    def links(self) -> list[str]:
        """Where its links and pictures lead."""
        return [one or other for one, other in _LINK.findall(_SPAN.sub("", self.prose))]

    @property
    def anchors(self) -> set[str]:
        """The names by which its headings can be linked to, as GitHub makes them."""
        return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(self.prose)}


def _paths() -> Iterator[Path]:
    yield from sorted(ROOT.glob("*.md"))
    yield from sorted((ROOT / "docs").rglob("*.md"))
    yield from sorted((ROOT / "src").rglob("DESIGN.md"))


PAGES: Final = tuple(map(Page, _paths()))
