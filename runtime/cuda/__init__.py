"""What of CUDA the runtime uses; NVIDIA's bindings are loaded at the first call of the driver."""

from __future__ import annotations

from edge_sdk.runtime.cuda.context import Context
from edge_sdk.runtime.cuda.driver import CudaError
from edge_sdk.runtime.cuda.frame import DeviceFrame

__all__ = ["Context", "CudaError", "DeviceFrame"]
