"""Every error that nokosu raises on purpose, in one tree.

    NokosuError
    ├── UsageError          the words given are not valid: names the field and the limit
    │   └── ConfigError     ... in the config file or the environment
    ├── NotFound            no such memory, project, space or device
    ├── Refused             understood, and not done: ambiguous, in conflict, against policy
    │   └── RecordRefused   a record from elsewhere that may not enter the log
    │       └── SealRefused     ... because it is not sealed for its place, or nobody here has its key
    │           └── UnknownKey
    ├── MeshError           the other devices could not be reached or asked; what is saved here is not affected
    │   └── PairingError    two devices did not become one memory; nothing secret has left either
    └── StoreError          the store could not do it; nothing was written unless it says so
        ├── StoreLocked     another process held the write lock too long
        ├── StoreReadOnly   the home, or the disk, may not be written
        ├── StoreFull       no space left on the disk
        ├── StoreDamaged    bytes on disk are not what was written
        ├── StoreUpgraded   a newer nokosu has changed the schema since this process started
        └── OutcomeUnknown  the disk failed while committing: saved or not, saving again is safe

Each carries `hint`, the next command to type, and the top of a surface maps the class to its own kind of
failure once: `exit_code` here, a tool error in MCP.
"""

from __future__ import annotations

from typing import ClassVar


class NokosuError(Exception):
    """Base of all errors of nokosu.

    `message` is one line for a person; `hint` is what to do next, or empty; `field` names the argument at fault, or is
    empty.
    """

    exit_code: ClassVar[int] = 4

    def __init__(self, message: str, *, hint: str = "", field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.field = field


class UsageError(NokosuError):
    """The words given are not valid; nothing was changed."""

    exit_code = 2


class ConfigError(UsageError):
    """The config file or an environment variable is not valid."""


class NotFound(NokosuError):
    """What was named does not exist here."""

    exit_code = 1


class Refused(NokosuError):
    """Understood, and not done: ambiguous, in conflict or against policy."""

    exit_code = 3


class RecordRefused(Refused):
    """A record may not enter the log: malformed, badly signed, or of an unknown device or space."""


class SealRefused(RecordRefused):
    """What arrived was not sealed for its place by a member of the space."""


class UnknownKey(SealRefused):
    """It is sealed under a key that this device does not have: of another space, or newer than it has heard of."""

    def __init__(self, message: str, *, key_id: bytes) -> None:
        super().__init__(message, field="seal")
        self.key_id = key_id


class MeshError(NokosuError):
    """The other devices could not be reached or asked; what is saved on this one is not affected."""

    exit_code = 5


class PairingError(MeshError):
    """Two devices did not become one memory; nothing secret has left either of them."""


class StoreError(NokosuError):
    """The store could not do it; nothing was written."""

    exit_code = 4


class StoreLocked(StoreError):
    """Another process held the write lock for longer than `limits.WRITE_WAIT_MS_MAX`; nothing was written."""


class StoreReadOnly(StoreError):
    """The home may not be written by this process; reading still works."""


class StoreFull(StoreError):
    """No space left on the disk; nothing was written."""


class StoreDamaged(StoreError):
    """Bytes on disk are not what was written; nothing damaged is served."""


class StoreUpgraded(StoreError):
    """A newer nokosu has changed the schema; this process must be restarted before it writes."""


class OutcomeUnknown(StoreError):
    """The disk failed during the commit: it may be saved. Saving again is safe, it will not be doubled."""
