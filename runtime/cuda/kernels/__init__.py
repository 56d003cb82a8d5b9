"""CUDA kernels: letterbox, choice of candidates, suppression; the CPU's arithmetic, bit for bit.

Experimental: they have compiled for every GPU that they are meant for, and their results are
compared with the C kernels' by running them on the host (tests/runtime/cuda/emulation.h). Until
`benchmarks/gpu/kernels.py` has run on a GPU, nothing is known about how fast they are.
"""
