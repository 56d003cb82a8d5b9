"""What is held on a GPU, given back in the reverse order, with the GPU's context current."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import Any, Protocol, TypeVar

from edge_sdk.errors import EdgeError
from edge_sdk.runtime.cuda.context import Context


class _Closable(Protocol):
    def close(self) -> None: ...


Resource = TypeVar("Resource", bound=_Closable)


class Held:
    """An object of a library that frees itself when nobody refers to it any more.

    Attributes
    ----------
    value : the object; None after `close`.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def close(self) -> None:
        """Let go of it."""
        self.value = None


class Resources:
    """Whatever one owner holds on a GPU.

    An owner registers `close` with `weakref.finalize`, so that its resources go with it.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._stack = ExitStack()

    def keep(self, resource: Resource) -> Resource:
        """Hold something until `close`, and return it."""
        self._stack.callback(resource.close)
        return resource

    def close(self) -> None:
        """Give everything back; a second time does nothing.

        What fails on a GPU that is lost, or whose context its owner has ended, is gone anyway.
        """
        with suppress(EdgeError), self._context:
            self._stack.close()
