from __future__ import annotations

import pytest

from edge_sdk.errors import EdgeError
from edge_sdk.runtime.sources.street import Street, StreetOptions, parse_street_uri


def test_defaults() -> None:
    assert parse_street_uri("test://street") == StreetOptions(0, (720, 1280), 30.0, "val", None)


def test_all_options() -> None:
    options = parse_street_uri("test://street?seed=7&fps=12.5&size=640x360&split=train&frames=9")
    assert options == StreetOptions(7, (360, 640), 12.5, "train", 9)


@pytest.mark.parametrize(
    ("uri", "named"),
    [
        ("test://road", "test://road"),
        ("http://street", "http://street"),
        ("test://street/left", "left"),
        ("test://street?speed=3", "'speed'"),
        ("test://street?seed", "NAME=VALUE"),
        ("test://street?seed=", "seed"),
        ("test://street?seed=-1", "seed=-1 of the test street is not a whole number from 0 on"),
        ("test://street?seed=1.5", "seed=1.5"),
        ("test://street?seed=99999999999999999999", "seed"),
        ("test://street?seed=1&seed=2", "twice"),
        ("test://street?fps=fast", "fps=fast"),
        ("test://street?fps=0", "fps=0"),
        ("test://street?fps=nan", "fps=nan"),
        ("test://street?size=1280", "size=1280"),
        ("test://street?size=1280x", "size=1280x"),
        ("test://street?size=1280*720", "WIDTHxHEIGHT"),
        ("test://street?size=16x720", "size=16x720"),
        ("test://street?size=99999x720", "size=99999x720"),
        ("test://street?split=test", "split=test"),
        ("test://street?frames=0", "frames=0"),
        ("test://street?frames=many", "frames=many"),
    ],
)
def test_malformed_addresses_are_named(uri: str, named: str) -> None:
    with pytest.raises(EdgeError) as caught:
        parse_street_uri(uri)
    assert named in str(caught.value)


def test_a_street_checks_its_arguments() -> None:
    with pytest.raises(EdgeError, match="split=test"):
        Street(0, split="test")  # type: ignore[arg-type]
    with pytest.raises(EdgeError, match="size"):
        Street(0, (8, 8))
