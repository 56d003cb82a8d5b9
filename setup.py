"""One distribution: the package edge_sdk and its two compiled extensions."""

from __future__ import annotations

from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup

HERE = Path(__file__).parent
KERNELS = Path("edge_sdk/runtime/kernels")
STREET = Path("edge_sdk/runtime/sources/street")

CLI = ["typer>=0.12", "rich>=13", "PyYAML>=6"]
OPENCV = ["opencv-python-headless>=4.8"]
ONNX = [
    "onnx>=1.17", "onnx-graphsurgeon>=0.5.6", "onnxruntime>=1.20", "PyYAML>=6",
    "threadpoolctl>=3.1", "scipy>=1.11",
]  # fmt: skip
EVALUATION = ["faster-coco-eval>=1.6", "polygraphy>=0.49.20", "matplotlib>=3.8"]
CONVERT = [*CLI, *OPENCV, *ONNX, *EVALUATION]
# The driver's interface and the compiler of kernels, both of the driver's own major version. Before
# 12.9.1 the interface held Python's lock while it waited; a Jetson with JetPack 6, which is for
# CUDA 12, brings its own compiler.
CUDA = ["onnx>=1.17", "cuda-bindings>=13.0.2", "nvidia-cuda-nvrtc>=13"]
CUDA_12 = [
    "onnx>=1.17", "cuda-bindings>=12.9.1,<13",
    "nvidia-cuda-nvrtc-cu12; platform_machine != 'aarch64'",
]  # fmt: skip
EXTRAS = {
    "cli": CLI,
    "camera": [*OPENCV, "av>=13"],
    "mqtt": ["paho-mqtt>=2"],
    "openvino": ["openvino>=2024.6"],
    "onnxruntime": ["onnxruntime>=1.20"],
    "tensorrt": ["tensorrt>=10.3", *CUDA],
    "tensorrt-rtx": ["tensorrt-rtx>=1.4", *CUDA],
    "cuda": CUDA,
    "cuda12": CUDA_12,
    "supervision": ["supervision>=0.22"],
    "convert": CONVERT,
    "train": [*CONVERT, "torch>=2.6", "safetensors>=0.4", "onnxscript>=0.1"],
}
EXTRAS["dev"] = [
    *EXTRAS["train"], *EXTRAS["openvino"], *EXTRAS["camera"], *EXTRAS["mqtt"],
    "build", "cuda-bindings>=12.9.1", "cython>=3.1", "hypothesis", "mypy", "pytest", "ruff",
    "types-PyYAML",
]  # fmt: skip

kernels = Extension(
    "edge_sdk.runtime.kernels._kernels",
    sources=[
        str(KERNELS / "_kernels.pyx"),
        *(str(path) for path in sorted(KERNELS.glob("*.c")) if path.stem != "_kernels"),
    ],
    depends=[str(path) for path in sorted(KERNELS.glob("*.h"))],
    include_dirs=[str(KERNELS)],
    extra_compile_args=["-O3", "-std=c11", "-fno-math-errno", "-ffp-contract=off"],
)

street = Extension(
    "edge_sdk.runtime.sources.street._raster",
    sources=[str(STREET / "_raster.pyx"), str(STREET / "raster.c")],
    depends=[str(STREET / "raster.h")],
    include_dirs=[str(STREET)],
    extra_compile_args=[
        "-O3",
        "-std=c11",
        "-fno-math-errno",
        "-fno-trapping-math",
        "-ffp-contract=off",
    ],
)

setup(
    name="edge-sdk",
    version="0.1.0",
    description="From a QARepVGG-type detector to a hybrid-INT8 engine that streams camera frames.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=find_packages(include=["edge_sdk", "edge_sdk.*"]),
    package_data={
        "edge_sdk": ["py.typed"],
        "edge_sdk.runtime": ["*.html"],
        "edge_sdk.runtime.cuda.kernels": ["*.cu", "*.cuh"],
        "edge_sdk.runtime.kernels": ["*.h", "*.pyx"],
        "edge_sdk.training": ["*.safetensors"],
    },
    ext_modules=cythonize([kernels, street], language_level=3),
    install_requires=["numpy>=1.26"],
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["edge-sdk = edge_sdk.cli:main"]},
)
