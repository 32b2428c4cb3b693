from __future__ import annotations

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.dicomweb.multipart import boundary_of, split_parts
from core.errors import DicomWebError

BOUNDARY = b"a'b(c)+_,-./:=?"


def joined(contents, *, head=b"\r\n", preamble=b""):
    body = preamble
    for content in contents:
        body += head + b"--" + BOUNDARY + b"\r\nContent-Type: application/dicom\r\n\r\n" + content
        head = b"\r\n"
    return body + b"\r\n--" + BOUNDARY + b"--\r\n"


def parts_of(body, sizes):
    """The parts of a body that arrives in pieces of these sizes, over and over."""
    chunks, at, turn = [], 0, 0
    while at < len(body):
        size = sizes[turn % len(sizes)]
        chunks.append(body[at : at + size])
        at, turn = at + size, turn + 1
    parts = {}
    for number, piece in split_parts(chunks, BOUNDARY):
        parts[number] = parts.get(number, b"") + piece
    return list(parts.values())


@given(
    contents=st.lists(
        st.one_of(st.binary(max_size=60), st.just(b"\r\n--a'b(c"), st.just(b"\r\n\r\n--")),
        max_size=4,
    ),
    sizes=st.lists(st.integers(1, 70), min_size=1, max_size=4),
    head=st.sampled_from([b"", b"\r\n"]),
)
def test_parts_are_found_wherever_the_answer_is_cut(contents, sizes, head):
    assert parts_of(joined(contents, head=head), sizes) == contents


def test_parts_are_those_of_the_standard_library():
    body = joined([b"first\r\n", b"", b"third"], head=b"", preamble=b"ignored\r\n\r\n")
    head = b'Content-Type: multipart/related; boundary="' + BOUNDARY + b'"\r\n\r\n'
    message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    expected = [one.get_payload(decode=True) for one in message.iter_parts()]
    assert expected == [b"first\r\n", b"", b"third"]
    assert parts_of(body, [7]) == expected


def test_an_answer_that_breaks_off_is_an_error_at_every_length():
    body = joined([b"first", b"second"], head=b"")
    for length in range(len(body) - 4):  # Without the closing "--" and line break.
        with pytest.raises(DicomWebError, match="ended before its last image"):
            parts_of(body[:length] or b"\r", [11])


def test_headers_without_an_end_are_not_collected():
    endless = (b"X: y\r\n" for _ in range(10_000))
    body = iter([b"--" + BOUNDARY + b"\r\n", *endless])
    with pytest.raises(DicomWebError, match="no end of its headers"):
        list(split_parts(body, BOUNDARY))
    assert sum(1 for _ in body) > 5_000


@pytest.mark.parametrize(
    ("kind", "boundary"),
    [
        ('multipart/related; type="application/dicom"; boundary=abc', b"abc"),
        ('Multipart/Related; Boundary="a b;c"; type="application/dicom"', b"a b;c"),
    ],
)
def test_the_boundary_stands_in_the_header(kind, boundary):
    assert boundary_of(kind) == boundary


@pytest.mark.parametrize(
    "kind",
    ["", "text/html", "application/dicom", "multipart/x", f"multipart/x; boundary={71 * 'x'}"],
)  # fmt: skip
def test_another_answer_is_one_sentence(kind):
    with pytest.raises(DicomWebError, match="not in parts"):
        boundary_of(kind)
