"""Identifiers as people type and compare them.

A memory's id is 60 random bits in Crockford base32: 12 characters, no i, l, o or u, case ignored when read, so that it
can be read aloud and copied by hand. Devices, logs and spaces are 16 bytes, shown in the same alphabet in groups of
four.

Source: Douglas Crockford, "Base 32" (https://www.crockford.com/base32.html).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from nokosu import limits
from nokosu.errors import UsageError

ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
MEMORY_ID_CHARS: Final = 12
BINARY_ID_BYTES: Final = 16
PAIRING_CODE_CHARS: Final = 8

_VALUES: Final = frozenset(ALPHABET)
_ZENOH_ID: Final = re.compile(r"[1-9a-f][0-9a-f]{0,31}")
_READ_AS: Final = str.maketrans({"i": "1", "l": "1", "o": "0"})

Random = Callable[[int], bytes]


def new_memory_id(random: Random) -> str:
    """Make a memory id of 60 bits; *random* gives that many bytes, as `os.urandom` does."""
    return _base32(int.from_bytes(random(8), "big") >> 4, MEMORY_ID_CHARS)


def is_memory_id(text: str) -> bool:
    """Whether *text* is a whole memory id in its canonical form."""
    return len(text) == MEMORY_ID_CHARS and _VALUES.issuperset(text)


def memory_id_prefix(text: str, *, field: str = "id") -> str:
    """Read a memory id, or the beginning of one, as a person typed it.

    Raises:
        UsageError: it is not 4 to 12 characters of the alphabet; names *field*.
    """
    prefix = text.lower().translate(_READ_AS)
    if not limits.ID_PREFIX_CHARS_MIN <= len(prefix) <= MEMORY_ID_CHARS or not _VALUES.issuperset(prefix):
        raise UsageError(
            f"{field}: {_shortened(text)} is not a memory id: "
            f"{limits.ID_PREFIX_CHARS_MIN} to {MEMORY_ID_CHARS} letters and digits",
            field=field,
        )
    return prefix


def new_pairing_code(random: Random) -> str:
    """Make the password of one pairing, of 40 bits, in its canonical form: 4k2m7xqp."""
    return _base32(int.from_bytes(random(5), "big"), PAIRING_CODE_CHARS)


def pairing_code(text: str) -> str:
    """Read a pairing code as a person typed it: in any case, with or without the hyphen.

    Raises:
        UsageError: it is not 8 characters of the alphabet.
    """
    code = text.replace("-", "").replace(" ", "").lower().translate(_READ_AS)
    if len(code) != PAIRING_CODE_CHARS or not _VALUES.issuperset(code):
        raise UsageError("code: not a pairing code: 8 letters and digits, as in 4K2M-7XQP", field="code")
    return code


def shown_code(code: str) -> str:
    """A pairing code as a person reads it aloud: 4K2M-7XQP."""
    return f"{code[:4]}-{code[4:]}".upper()


def binary_id_prefix(text: str) -> str | None:
    """The beginning of a device's, log's or space's id as a person typed it, in canonical form; None if it is none."""
    prefix = text.replace("-", "").lower().translate(_READ_AS)
    return prefix if len(prefix) >= limits.ID_PREFIX_CHARS_MIN and _VALUES.issuperset(prefix) else None


def grouped(identifier: bytes) -> str:
    """A device, log or space id for a person to compare: groups of four characters."""
    chars = -(-len(identifier) * 8 // 5)
    text = _base32(int.from_bytes(identifier, "big") << (chars * 5 - len(identifier) * 8), chars)
    return "-".join(text[start : start + 4] for start in range(0, chars, 4))


def is_zenoh_id(text: str) -> bool:
    """Whether *text* is a Zenoh id as Zenoh prints it: small hex digits, none of them a zero in front."""
    return _ZENOH_ID.fullmatch(text) is not None


def _base32(number: int, chars: int) -> str:
    return "".join(ALPHABET[number >> 5 * place & 31] for place in range(chars - 1, -1, -1))


def _shortened(text: str) -> str:
    return ascii(text if len(text) <= 40 else text[:40] + "...")
