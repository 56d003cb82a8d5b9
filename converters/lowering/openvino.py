"""OpenVINO: the CPU's form as it is; transposed convolutions run in INT8 there."""

from __future__ import annotations

import onnx

from edge_sdk.converters.lowering.cpu import lower_for_cpu
from edge_sdk.quantization_table import QuantizationTable


def lower(
    model: onnx.ModelProto,
    table: QuantizationTable,
    layers: frozenset[str],
    *,
    seven_bit_weights: bool = False,
) -> onnx.ModelProto:
    """Return the Q/DQ graph for OpenVINO; see `lower_for_cpu`."""
    return lower_for_cpu(model, table, layers, seven_bit_weights=seven_bit_weights)
