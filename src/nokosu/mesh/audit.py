"""Audit: whether one storage holds what it should, found out by its answers alone.

Some names are asked for. What was not seen there is put, and asked for again, until nothing is left. A question that
failed proves what it has brought and nothing else: that something is absent is told by a question that ended well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import Enum
from typing import Final

from nokosu import limits
from nokosu.mesh.holdings import Held, PageName

_IN_VAIN_MAX: Final = 3  # rounds that brought nothing, until the storage is left alone for a while


class Subject(Enum):
    """What an audit is about."""

    PAGE = "page"  # records of one page that were not seen there yet
    PROBE = "probe"  # a few of a page that was: where one is gone, the page is looked at again
    SCRUB = "scrub"  # records of purged memories: none may have its body there
    REKEY = "rekey"  # the roster's records, each under the secret of its time


class Audit:
    """Names of one storage, and how far they are. `left` gives the stamp of what lies there instead, 0 for nothing."""

    def __init__(
        self,
        subject: Subject,
        base: str,
        tails: Iterable[str],
        *,
        every: str = "",
        page: PageName | None = None,
        held: Held | None = None,
    ) -> None:
        """*base* and a tail are a name; *every* is a question that brings all of them, and perhaps more. *page* and *held*
        are what is proven when nothing is left.
        """
        self.subject = subject
        self.page, self.held = page, held
        self.left = dict.fromkeys(tails, 0)
        self.names = tuple(self.left)
        self.to_put: deque[str] = deque()
        self.again_at: float | None = None
        self.is_over = False
        self.unsure: set[str] = set()  # what lies there under a key that nobody has told of yet is left alone
        self.is_refused = False  # it was put again and again, and is still not there
        self._base, self._every = base, every
        self._to_ask: deque[str] = deque()
        self._out = 0
        self._has_failed = False
        self._in_vain = 0
        self._were_left = len(self.left)
        self.ask_again()

    @property
    def is_whole(self) -> bool:
        """Whether its next question is one for all."""
        return bool(self._to_ask) and self._to_ask[0] == self._every

    def tail(self, key: str) -> str | None:
        """The tail of a name, if it is one of those that are left."""
        tail = key[len(self._base) :] if key.startswith(self._base) else ""
        return tail if tail in self.left else None

    def ask_again(self) -> None:
        """Ask for all that is left."""
        self.again_at = None
        by_name = not self._every or len(self.left) <= limits.AUDIT_BY_NAME_MAX
        self._to_ask = deque(self._base + tail for tail in self.left) if by_name else deque((self._every,))
        self.is_over = not self._to_ask

    def next_question(self) -> str | None:
        """A selector that was not asked yet."""
        if self.again_at is not None or not self._to_ask:
            return None
        self._out += 1
        return self._to_ask.popleft()

    def saw(self, tail: str, *, is_held: bool | None, stamp: int) -> None:
        """The storage has answered with this name."""
        if is_held is None:
            self.unsure.add(tail)
        else:
            self.unsure.discard(tail)
        if is_held or (is_held is None and self.subject == Subject.PROBE):
            self.left.pop(tail, None)
        elif tail in self.left:
            self.left[tail] = max(stamp, self.left[tail])

    def ended(self, selector: str, *, failed: bool) -> bool:
        """A question is done with; whether the whole round has failed, and begins anew when it is asked again."""
        self._out -= 1
        self._has_failed |= failed
        if failed and selector == self._every:
            self._every = ""  # it may be more than one question can bring
        if self._out or self._to_ask:
            return False
        has_failed, self._has_failed = self._has_failed, False
        if has_failed:
            self.ask_again()
            return True
        self._judge()
        return False

    def put_all(self, now: float) -> None:
        """All that was missing was put: ask for it when it may have arrived."""
        self.again_at = now + limits.AUDIT_SETTLE_SECONDS

    def _judge(self) -> None:
        if not self.left or self.subject == Subject.PROBE:
            self.is_over = True
            return
        self._in_vain = 0 if len(self.left) < self._were_left else self._in_vain + 1
        self._were_left = len(self.left)
        if self._in_vain >= _IN_VAIN_MAX:
            self.is_over = self.is_refused = True
            return
        self.to_put = deque(tail for tail in self.left if tail not in self.unsure)
        if not self.to_put:
            self.is_over = self.is_refused = True
