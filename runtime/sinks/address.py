"""Taking the URL of a sink apart."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from edge_sdk.errors import EdgeError
from edge_sdk.runtime.sources.uri import redacted_uri


def split_url(url: str) -> SplitResult:
    """Return the parts of a URL whose port is a number.

    Raises
    ------
    EdgeError
        If it is malformed.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # read here: it raises
        return parts
    except ValueError:
        pass  # its words may hold a part of a password
    raise EdgeError(
        f"{redacted_uri(url)} is no URL: look at its host and port, and write / and @ in a "
        "password as %2F and %40."
    )
