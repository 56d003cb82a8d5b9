"""The one exception that users of the SDK need to catch."""

from __future__ import annotations

from collections.abc import Collection


class EdgeError(Exception):
    """Something a user can mend: bad input, a missing extra, an unsupported model.

    The message is one sentence (or two): what was wrong, in which file or argument,
    and what to do. The command line prints it without a traceback and exits with
    status 2.
    """


class MissingExtra(EdgeError):
    """A package that an optional extra of the distribution brings is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed: "
            f"pip install 'edge-sdk[{extra}]'."
        )


class NoInt8Kernel(EdgeError):
    """An engine library has no integer kernel for some layers: they can only stay float.

    Attributes
    ----------
    layers : their names.
    reason : what the library says.
    """

    def __init__(self, layers: Collection[str], reason: str) -> None:
        self.layers = frozenset(layers)
        self.reason = reason
        super().__init__(
            f"There is no INT8 kernel for {', '.join(sorted(layers))}: keep them float in the plan "
            f"({reason})."
        )
