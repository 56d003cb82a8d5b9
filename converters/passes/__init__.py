"""Rewrites of ONNX graphs (onnx-graphsurgeon), one a file, each with its algebra in its docstring.

A pass changes the graph in place and returns what it did.
"""
