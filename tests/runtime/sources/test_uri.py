from __future__ import annotations

import pytest

from edge_sdk.runtime.sources.uri import parse_uri, redacted, redacted_uri

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


@pytest.mark.parametrize("word", ["a b", "a!b", "a'b", 'a"b', "a@b", "a/b", "a?b", "a#b", "a=b"])
@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("rtsp://joe:{}x@cam/x", "rtsp://***@cam/x"),
        ("http://joe:{}x@cam/x?n=1", "http://***@cam/x?n=1"),
        ("rtsp:/joe:{}x@cam/x", "***@cam/x"),
        ("joe:{}x@cam/x", "***@cam/x"),
    ],
)
def test_names_hold_no_part_of_an_odd_password(uri: str, name: str, word: str) -> None:
    assert parse_uri(uri.format(word)).name == redacted_uri(uri.format(word)) == name


def test_names_of_files_stay() -> None:
    for name in ("a@b.jpg", "photos/a@2x.png", "/x:y/a@b", "file:///a b@c.mp4", "host:80/x"):
        assert parse_uri(name).name == name


def test_text_about_credentials_is_redacted() -> None:
    assert redacted("rtspsrc user-pw = geheim ! x") == "rtspsrc user-pw=*** ! x"
    assert redacted("no http://h/x?pwd=a'b here") == "no http://h/x?pwd=*** here"
    assert redacted("no rtsp://joe:a!b@h here") == "no rtsp://***@h here"


def test_our_options_are_taken_and_the_cameras_left_as_they_are() -> None:
    parts = parse_uri("http://cam/v?channel=1&timeout=3&path=a%2Fb&x")
    values, rest = parts.take_options({"timeout": float})
    assert values == {"timeout": 3}
    assert rest.text == "http://cam/v?channel=1&path=a%2Fb&x"
    assert rest.name == parts.name
