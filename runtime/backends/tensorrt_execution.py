"""One place to run an engine in, and the worker that runs batches of the host's memory there."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import EdgeError
from edge_sdk.runtime.backends.tensorrt_plan import Plan
from edge_sdk.runtime.cuda.memory import PairedBuffer
from edge_sdk.runtime.cuda.replay import Replay
from edge_sdk.runtime.cuda.resources import Held, Resources
from edge_sdk.runtime.cuda.stream import Stream


class Execution:
    """An execution context for batches of one size; its shapes never change.

    Parameters
    ----------
    plan : the engine, with one input.
    batch : images at a time.
    resources : hold it.

    Attributes
    ----------
    shapes : of every input and output, by name.

    Raises
    ------
    EdgeError
        If the engine does not take such a batch, or the GPU has too little memory.
    """

    def __init__(self, plan: Plan, batch: int, resources: Resources) -> None:
        self._plan = plan
        self._held = resources.keep(Held(plan.execution_context()))
        executor = self._held.value
        (tensor,) = plan.inputs.values()
        if not executor.set_input_shape(tensor.name, (batch, *tensor.shape[1:])):
            least, most = plan.batches(tensor.name)
            raise EdgeError(
                f"{plan.path} takes batches of {least} to {most}, not of {batch}: compile it "
                f"again with --max-batch {batch}."
            )
        names = (*plan.inputs, *plan.outputs)
        self.shapes = {name: tuple(executor.get_tensor_shape(name)) for name in names}

    def bind(self, name: str, address: int) -> None:
        """Say where a tensor lies on the GPU."""
        executor = self._held.value
        if not executor.set_tensor_address(name, address):
            raise self._plan.error(f"does not take a buffer for {name!r}")

    def set_profiler(self, profiler: Any) -> None:
        """Let the library report the time of each layer to an IProfiler, run by run."""
        executor = self._held.value
        executor.profiler = profiler

    def enqueue(self, stream: Stream) -> None:
        """Put one inference into a stream.

        Raises
        ------
        EdgeError
            If the library refuses.
        """
        executor = self._held.value
        if not executor.execute_async_v3(stream.handle):
            raise self._plan.error("fails when it runs")


class TensorrtWorker:
    """Pinned buffers, a stream and an execution of its own: see `Worker`.

    Its arrays are not to be used once the worker is gone.

    Parameters
    ----------
    plan : the engine.
    batch : images a call.
    outputs : names, in the order in which a call returns them.
    """

    def __init__(self, plan: Plan, batch: int, outputs: Sequence[str]) -> None:
        self._context = plan.context
        resources = Resources(plan.context)
        weakref.finalize(self, resources.close)
        with plan.context:
            stream = self._stream = resources.keep(Stream())
            execution = Execution(plan, batch, resources)
            buffers = {}
            for tensor in (*plan.inputs.values(), *plan.outputs.values()):
                buffer = resources.keep(
                    PairedBuffer(
                        execution.shapes[tensor.name], tensor.dtype, plan.context.integrated
                    )
                )
                execution.bind(tensor.name, buffer.address)
                buffers[tensor.name] = buffer
            self._input = buffers[next(iter(plan.inputs))]
            self._outputs = [buffers[name] for name in outputs]
            self._replay = Replay(stream, lambda: execution.enqueue(stream), resources)
        self.input = self._input.array

    def __call__(self) -> list[npt.NDArray[np.float32]]:
        """Copy in, run, copy out."""
        with self._context:
            self._input.upload(self._stream)
            self._replay()
            for output in self._outputs:
                output.download(self._stream)
            self._stream.synchronize()
        return [np.asarray(output.array, np.float32) for output in self._outputs]
