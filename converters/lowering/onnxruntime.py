"""ONNX Runtime: the CPU's form, with stem and upsampling rewritten and SiLU on integers.

It has no integer kernel for ConvTranspose, but a fast one for 1x1 convolutions. It fetches three
channels at a time slowly, hence the stem on blocks of pixels. A convolution
whose output is not quantized it runs in float, slower than without any quantization.
"""

from __future__ import annotations

import onnx

from edge_sdk.converters.lowering.cpu import GRID, CpuForm, grid_steps
from edge_sdk.converters.lowering.qdq import insert
from edge_sdk.converters.passes.equalize_channels import equalized
from edge_sdk.converters.passes.stem_in_blocks import stem_in_blocks
from edge_sdk.converters.passes.upsample_as_convolution import upsample_as_convolution
from edge_sdk.quantization_table import QuantizationTable

__all__ = ["GRID", "form", "grid_steps", "lower"]


def form(
    model: onnx.ModelProto, table: QuantizationTable, *, seven_bit_weights: bool = False
) -> CpuForm:
    """Return the grids and places of ONNX Runtime's integers; see `CpuForm`.

    They are those of the rewritten graph, too: what the rewriting moves stays on its grid. (Only
    a float layer that reads an upsampled tensor beside an integer one finds it rounded there.)
    """
    return CpuForm(model, table, seven_bit_weights=seven_bit_weights, integer_silu=True)


def lower(
    model: onnx.ModelProto,
    table: QuantizationTable,
    layers: frozenset[str],
    *,
    seven_bit_weights: bool = False,
) -> onnx.ModelProto:
    """Return the Q/DQ graph for ONNX Runtime."""
    model, table = equalized(model, table)
    model, table = upsample_as_convolution(*stem_in_blocks(model, table))
    return insert(
        model, form(model, table, seven_bit_weights=seven_bit_weights).quantization(layers)
    )
