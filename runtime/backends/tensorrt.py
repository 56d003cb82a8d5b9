"""TensorRT and TensorRT-RTX on an NVIDIA GPU. Experimental: this has run on no GPU yet.

A detector's frame goes through one stream of work on the GPU, see `tensorrt_chain`; several
threads have a stream each, so that the copies of one frame overlap the computation of another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edge_sdk.errors import EdgeError
from edge_sdk.head_spec import CANDIDATE_OUTPUTS, HeadSpec
from edge_sdk.runtime.backends.engine import Engine, Worker, check_input, check_outputs
from edge_sdk.runtime.backends.tensorrt_execution import TensorrtWorker
from edge_sdk.runtime.backends.tensorrt_plan import Plan
from edge_sdk.runtime.chain import Chain
from edge_sdk.runtime.cuda.context import Context
from edge_sdk.runtime.letterbox import Letterbox
from edge_sdk.runtime.postprocess import Postprocessor


def open_engine(
    path: Path, target: str, spec: HeadSpec | None, parallel: int, device: int
) -> Engine:
    """Read an engine; see `edge_sdk.runtime.backends.open_engine`."""
    if spec is None or path.suffix == ".onnx":
        raise EdgeError(
            f"{path} is no engine of a bundle, which says how its outputs are to be read: open a "
            f"bundle that was built for {target}."
        )
    context = Context.open(device)
    wanted = target.partition(":")[2]
    if wanted and wanted != context.capability:
        raise EdgeError(
            f"{path.name} was built for {wanted}, and GPU {device} is of {context.capability}: "
            f"rebuild with --target tensorrt-rtx:{context.capability}."
        )
    with context:
        plan = Plan.open(path, target, context)
    return TensorrtEngine(plan, target, spec, parallel)


class TensorrtEngine(Engine):
    """One engine on one GPU; a worker or a chain is one execution context of it.

    Attributes
    ----------
    context : the GPU.
    sends_candidates : whether only the best candidates leave the network, not its raw outputs.
    """

    def __init__(self, plan: Plan, target: str, spec: HeadSpec, parallel: int) -> None:
        self.target = target.partition(":")[0]
        shapes = {
            name: [None if size < 0 else size for size in tensor.shape]
            for name, tensor in plan.inputs.items()
        }
        batch = check_input(plan.path, spec, shapes)
        self.context = plan.context
        self.sends_candidates = set(plan.outputs) == set(CANDIDATE_OUTPUTS)
        if not self.sends_candidates:
            check_outputs(plan.path, spec, set(plan.outputs))
        dtype = plan.inputs[spec.input_name].dtype
        super().__init__(plan.path, spec, dtype, batch, None, parallel)
        self._plan: Plan | None = plan

    def plan(self, batch: int = 1) -> Plan:
        """Return the engine itself, for batches of a size.

        Raises
        ------
        EdgeError
            If it is closed, or takes other batches.
        """
        self.check_batch(batch)
        assert self._plan is not None
        return self._plan

    def _worker(self, batch: int) -> Worker:
        names = CANDIDATE_OUTPUTS if self.sends_candidates else self.spec.output_names
        return TensorrtWorker(self.plan(batch), batch, names)

    def chains(self, spec: HeadSpec, settings: Mapping[str, Any]) -> Callable[[], Chain]:
        """See `Engine.chains`; the whole chain runs on the GPU."""
        from edge_sdk.runtime.backends.tensorrt_chain import TensorrtChain

        Postprocessor(spec, **settings)  # checks them, in the same words as for the CPU
        letterbox = Letterbox(spec.preprocessing, spec.input_size)
        return lambda: TensorrtChain(self.plan(), spec, settings, letterbox)

    def _close(self) -> None:
        self._plan = None
