"""Building an engine with TensorRT or TensorRT for RTX, which share one interface.

One code path for TensorRT 10.3 to 11 and TensorRT-RTX: strongly typed networks, named tensors,
nothing that either has marked as deprecated. What only one of them has is asked for by its
presence, never by a version. The module is given as `trt`, so nothing here imports it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from edge_sdk.converters.engines.interrupt import noted_interrupt
from edge_sdk.cuda_driver import first_gpu
from edge_sdk.errors import EdgeError, NoInt8Kernel
from edge_sdk.files import make_folder, replacing
from edge_sdk.progress import Progress, silent


@dataclass(frozen=True)
class BuildOptions:
    """How an engine is built; the defaults are the library's own.

    Attributes
    ----------
    max_batch : the largest batch of a graph whose batch size is open.
    workspace_mib : the most memory that a kernel may use for itself, in MiB.
    timing_cache : a file in which measured kernel times are kept for the next build.
    version_compatible : let newer versions of the library run the engine. It then carries host
        code, which our runtime does not let run: for other programs.
    hardware_compatibility : run on other GPUs too: "ampere_plus", "same_compute_capability".
    optimization_level : 0 (fast build) to 5 (fast engine).
    dla : which deep learning accelerator runs what it can; the GPU runs the rest.
    """

    max_batch: int = 8
    workspace_mib: int | None = None
    timing_cache: Path | None = None
    version_compatible: bool = False
    hardware_compatibility: str | None = None
    optimization_level: int | None = None
    dla: int | None = None


class BuildLog:
    """What the library says while it parses and builds, line by line.

    Attributes
    ----------
    logger : to give to the library.
    lines : everything, "SEVERITY text".
    errors : the errors among them, text only.
    """

    def __init__(self, trt: ModuleType) -> None:
        self.lines: list[str] = []
        self.errors: list[str] = []
        lines, errors = self.lines, self.errors

        class Logger(trt.ILogger):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity: Any, message: str) -> None:
                lines.append(f"{severity.name} {message}")
                if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                    errors.append(message)

        self.logger = Logger()

    def reason(self) -> str:
        """Return the first error in one line, shortened."""
        text = " ".join(self.errors[0].split()) if self.errors else "it says no reason"
        return text if len(text) <= 300 else f"{text[:300]} ..."


@dataclass
class ParsedNetwork:
    """A graph as the library's parser reads it.

    Attributes
    ----------
    trt : the library.
    builder, network : its objects.
    log : what it said.
    """

    trt: ModuleType
    builder: Any
    network: Any
    log: BuildLog
    _parser: Any


def parse(trt: ModuleType, graph: bytes) -> ParsedNetwork:
    """Read a lowered ONNX graph.

    Raises
    ------
    EdgeError
        If the parser refuses it, or the library cannot start (without a driver TensorRT cannot).
    """
    log = BuildLog(trt)
    try:
        builder = trt.Builder(log.logger)
    except (TypeError, RuntimeError) as error:
        raise EdgeError(
            f"{trt.__name__} {trt.__version__} cannot start ({log.reason()}): it needs an NVIDIA "
            "GPU and its driver. Where there is none, build for tensorrt:remote or "
            "tensorrt-rtx:smNN."
        ) from error
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log.logger)
    with noted_interrupt():
        read = parser.parse(graph)
    if not read:
        raise EdgeError(f"{trt.__name__} cannot read the graph: {_parser_error(parser)}.")
    return ParsedNetwork(trt, builder, network, log, parser)


def build(
    parsed: ParsedNetwork,
    options: BuildOptions,
    capability: str = "",
    int8_layers: Collection[str] = (),
    progress: Progress = silent,
) -> bytes:
    """Build the engine of a parsed graph and return it.

    Parameters
    ----------
    parsed : of `parse`.
    options : see `BuildOptions`.
    capability : the compute capability to build for, "sm75"; "" builds for this machine's GPU.
    int8_layers : names of the layers that read integers, to find them in an error.
    progress : told about the steps; what it raises cancels the build, and so does Ctrl-C.

    Raises
    ------
    NoInt8Kernel
        If the library says that it cannot run some of `int8_layers`.
    EdgeError
        If the build fails, or an option is not to be had here.
    """
    config = parsed.builder.create_builder_config()
    config.profiling_verbosity = parsed.trt.ProfilingVerbosity.DETAILED
    _add_profile(parsed, config, options.max_batch)
    _set_capability(parsed.trt, config, capability)
    _set_options(parsed, config, options)
    cache = _timing_cache(parsed.trt, config, options.timing_cache)
    with noted_interrupt() as interrupted:
        monitor = config.progress_monitor = _monitor(parsed.trt, progress, interrupted)
        plan = parsed.builder.build_serialized_network(parsed.network, config)
    if monitor.raised is not None:
        raise monitor.raised
    if plan is None:
        raise _failure(parsed.log, int8_layers)
    if cache is not None and options.timing_cache is not None:
        with replacing(options.timing_cache) as beside:
            beside.write_bytes(bytes(config.get_timing_cache().serialize()))
    return bytes(plan)


def inspect(parsed: ParsedNetwork, plan: bytes) -> str:
    """Return what the engine inspector says of the layers of a built engine, as JSON.

    Only on a machine whose GPU can run the engine, and which has just built it.

    Raises
    ------
    EdgeError
        If the engine cannot be read back.
    """
    trt = parsed.trt
    runtime = trt.Runtime(parsed.log.logger)
    runtime.engine_host_code_allowed = True  # what is version-compatible carries some
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise EdgeError(f"The engine cannot be read back: {parsed.log.reason()}.")
    inspector = engine.create_engine_inspector()
    text: str = inspector.get_engine_information(trt.LayerInformationFormat.JSON)
    return text


def capabilities(trt: ModuleType) -> list[str]:
    """Return the compute capabilities that a library builds for without a GPU: "sm75", ..."""
    members = getattr(getattr(trt, "ComputeCapability", None), "__members__", {})
    return sorted(
        (name.lower() for name in members if name[2:].isdigit()), key=lambda n: int(n[2:])
    )


def _set_capability(trt: ModuleType, config: Any, capability: str) -> None:
    """Say what to build for: TensorRT always builds for the GPU that is here.

    TensorRT-RTX can do so, too, for GPUs that it cannot be told to build for without having one.
    """
    if not capability or (capability not in capabilities(trt) and capability == _here()):
        name = "CURRENT"
    elif capability in capabilities(trt):
        name = capability.upper()
    else:
        known = ", ".join(capabilities(trt)) or "none"
        raise EdgeError(
            f"{trt.__name__} {trt.__version__} cannot build for {capability}, only for {known}."
        )
    if hasattr(trt, "ComputeCapability"):
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.ComputeCapability, name), 0)


def _here() -> str | None:
    """Return the compute capability of this machine's GPU, None without one."""
    try:
        return first_gpu().capability
    except EdgeError:
        return None


def _add_profile(parsed: ParsedNetwork, config: Any, max_batch: int) -> None:
    """Give the range of batch sizes of a graph that leaves it open."""
    profile = parsed.builder.create_optimization_profile()
    open_inputs = 0
    for number in range(parsed.network.num_inputs):
        tensor = parsed.network.get_input(number)
        shape = tuple(tensor.shape)
        if shape[0] == -1:
            profile.set_shape(
                tensor.name, (1, *shape[1:]), (1, *shape[1:]), (max_batch, *shape[1:])
            )
            open_inputs += 1
    if open_inputs:
        config.add_optimization_profile(profile)


def _set_options(parsed: ParsedNetwork, config: Any, options: BuildOptions) -> None:
    trt = parsed.trt
    if hasattr(trt.BuilderFlag, "REQUIRE_USER_ALLOCATION"):  # else no graph may be captured
        config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
    if options.workspace_mib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib << 20)
    if options.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if options.hardware_compatibility is not None:
        name = options.hardware_compatibility.upper()
        level = getattr(trt.HardwareCompatibilityLevel, name, None)
        if level is None:
            raise EdgeError(
                f"{trt.__name__} {trt.__version__} has no hardware compatibility "
                f"{options.hardware_compatibility!r}."
            )
        config.hardware_compatibility_level = level
    if options.optimization_level is not None:
        config.builder_optimization_level = options.optimization_level
    if options.dla is not None:
        _use_dla(parsed, config, options.dla)


def _use_dla(parsed: ParsedNetwork, config: Any, core: int) -> None:
    trt = parsed.trt
    cores = getattr(parsed.builder, "num_DLA_cores", 0)
    if not 0 <= core < cores:
        raise EdgeError(f"There is no deep learning accelerator {core} here; it has {cores}.")
    config.default_device_type = trt.DeviceType.DLA
    config.DLA_core = core
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)


def _timing_cache(trt: ModuleType, config: Any, path: Path | None) -> Any:
    """Let the build use the cache of a file; TensorRT-RTX, which times nothing, has none."""
    if path is None or hasattr(trt, "ComputeCapability"):
        return None
    make_folder(path.parent)  # what cannot be made is told before the build
    cache = config.create_timing_cache(path.read_bytes() if path.is_file() else b"")
    if cache is None or not config.set_timing_cache(cache, False):
        raise EdgeError(
            f"The timing cache {path} is of another GPU or version of TensorRT: give another file."
        )
    return cache


def _monitor(trt: ModuleType, progress: Progress, interrupted: Callable[[], bool]) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc, name-defined]
        """Tells the steps of the outermost phase; stops the build on Ctrl-C, or what it raises."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.raised: BaseException | None = None
            self.outermost: dict[str, int] = {}

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            if parent is None:
                self.outermost[name] = steps

        def step_complete(self, name: str, step: int) -> bool:
            try:
                if name in self.outermost:
                    progress(step, self.outermost[name], "building the engine")
            except BaseException as error:  # the library must not see it, the caller must
                self.raised = error
            return self.raised is None and not interrupted()

        def phase_finish(self, name: str) -> None:
            self.outermost.pop(name, None)

    return Monitor()


def _parser_error(parser: Any) -> str:
    if not parser.num_errors:
        return "it says no reason"
    problem = parser.get_error(0)
    where = problem.node_name()
    return f"{where + ': ' if where else ''}{' '.join(problem.desc().split())[:300]}"


def _failure(log: BuildLog, int8_layers: Collection[str]) -> EdgeError:
    """Return what to raise when no engine came out."""
    text = " ".join(log.errors)
    if re.search(r"could not find any implementation|no implementation", text, re.IGNORECASE):
        named = {layer for layer in int8_layers if _mentions(text, layer)}
        if named:
            return NoInt8Kernel(named, log.reason())
    return EdgeError(f"The engine cannot be built: {log.reason()}.")


def _mentions(text: str, layer: str) -> bool:
    """Tell whether a text names a layer, and not only one whose name begins like it."""
    return re.search(rf"(?<![\w.]){re.escape(layer)}(?![\w.]*\w)", text) is not None
