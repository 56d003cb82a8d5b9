"""OpenVINO: the CPU's form, with a range for each channel that a depthwise convolution reads.

Transposed convolutions run in INT8 there.
"""

from __future__ import annotations

import onnx

from edge_sdk.converters.lowering.cpu import CpuForm, grid_steps
from edge_sdk.converters.lowering.qdq import insert
from edge_sdk.converters.passes.equalize_channels import equalized
from edge_sdk.quantization_table import QuantizationTable

__all__ = ["GRID", "form", "grid_steps", "lower"]

GRID = "uint8 over the table's range, channel by channel before depthwise convolutions"
"""How bundles report the grid of their activations."""


def form(
    model: onnx.ModelProto, table: QuantizationTable, *, seven_bit_weights: bool = False
) -> CpuForm:
    """Return the grids and places of OpenVINO's integers; see `CpuForm`."""
    return CpuForm(model, table, seven_bit_weights=seven_bit_weights, channel_ranges=True)


def lower(
    model: onnx.ModelProto,
    table: QuantizationTable,
    layers: frozenset[str],
    *,
    seven_bit_weights: bool = False,
) -> onnx.ModelProto:
    """Return the Q/DQ graph for OpenVINO."""
    model, table = equalized(model, table)
    return insert(
        model, form(model, table, seven_bit_weights=seven_bit_weights).quantization(layers)
    )
