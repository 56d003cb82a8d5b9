from __future__ import annotations

import pytest

from edge_sdk.runtime.sources.uri import parse_uri, redacted

WORD = "h/nt@r:2"


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        (f"rtsp://joe:{WORD}@cam/x?transport=tcp", "rtsp://***@cam/x?transport=tcp"),
        (f"http://cam/x?channel=1&pwd={WORD}&n=2", "http://cam/x?channel=1&pwd=***&n=2"),
        (f"http://cam/x?api_token={WORD}&Username=joe", "http://cam/x?api_token=***&Username=***"),
        (
            f"gst://rtspsrc location=rtsp://joe:{WORD}@h ! q user-pw='{WORD}' ! r",
            "gst://rtspsrc location=rtsp://***@h ! q user-pw=*** ! r",
        ),
        ("rtsp://joe:a?b@cam/x?channel=1", "rtsp://***@cam/x?channel=1"),
        ("clip.mp4?loop=2", "clip.mp4?loop=2"),
        ("test://street?seed=0&size=64x64", "test://street?seed=0&size=64x64"),
    ],
)
def test_names_hold_no_credentials(uri: str, name: str) -> None:
    parts = parse_uri(uri)
    assert parts.name == redacted(uri) == name
    assert parts.text == uri
    assert WORD not in repr(parts)


def test_our_options_are_taken_and_the_cameras_left_as_they_are() -> None:
    parts = parse_uri("http://cam/v?channel=1&timeout=3&path=a%2Fb&x")
    values, rest = parts.take_options({"timeout": float})
    assert values == {"timeout": 3}
    assert rest.text == "http://cam/v?channel=1&path=a%2Fb&x"
    assert rest.name == parts.name
