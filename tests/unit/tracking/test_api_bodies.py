import gzip
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tracking.api.bodies import BATCH, NDJSON, SINGLE, Gone, inflate, read, split
from services.tracking.api.problems import Refused


class Chunks:
    """The messages of one request."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.messages = list(messages)

    async def __call__(self) -> dict[str, Any]:
        return self.messages.pop(0)


def body(*chunks: bytes) -> Chunks:
    last = len(chunks) - 1
    return Chunks(*[{"type": "http.request", "body": chunk, "more_body": at < last} for at, chunk in enumerate(chunks)])


async def test_a_body_in_pieces_is_read_whole() -> None:
    assert await read(body(b"ab", b"", b"cd"), 4) == b"abcd"


async def test_reading_stops_as_soon_as_the_limit_is_passed() -> None:
    chunks = body(*[b"x" * 100] * 1_000)
    with pytest.raises(Refused) as raised:
        await read(chunks, 250)
    assert raised.value.status == 413
    assert len(chunks.messages) == 997


async def test_a_client_that_leaves_is_no_error_of_its_body() -> None:
    with pytest.raises(Gone):
        await read(Chunks({"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.disconnect"}), 10)


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=4))
def test_gzip_of_one_or_several_members_inflates_to_what_went_in(parts: list[bytes]) -> None:
    assert inflate(b"".join(gzip.compress(part, mtime=0) for part in parts), 1_000) == b"".join(parts)


def test_a_bomb_is_refused_without_holding_what_it_inflates_to() -> None:
    bomb = gzip.compress(bytes(50_000_000), 9)
    assert len(bomb) < 60_000
    with pytest.raises(Refused) as raised:
        inflate(bomb, 1_000_000)
    assert raised.value.status == 413


def test_many_small_members_do_not_add_up_beyond_the_limit() -> None:
    with pytest.raises(Refused) as raised:
        inflate(gzip.compress(bytes(1_000)) * 11, 10_000)
    assert raised.value.status == 413


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"not gzip",
        gzip.compress(b"hello" * 100, mtime=0)[:-9],
        zlib.compress(b"hello"),
        gzip.compress(b"a", mtime=0) + b"tail",
    ],
)
def test_what_is_no_whole_gzip_is_malformed(broken: bytes) -> None:
    with pytest.raises(Refused) as raised:
        inflate(broken, 1_000)
    assert raised.value.status == 400


def test_a_batch_is_cut_at_its_events() -> None:
    values = split(BATCH, b' [ {"a":[1,{"b":"]"}]} , 7,"x" ] ', 10)
    assert [bytes(memoryview(value)) for value in values] == [b'{"a":[1,{"b":"]"}]}', b"7", b'"x"']


def test_lines_may_be_empty_or_end_in_any_way() -> None:
    assert list(split(NDJSON, b'{"a":1}\r\n\n  \n{"b":2}', 10)) == [b'{"a":1}\r', b'{"b":2}']


def test_one_event_is_its_body() -> None:
    assert list(split(SINGLE, b"whatever", 1)) == [b"whatever"]


@pytest.mark.parametrize("broken", [b"", b"{}", b"[1,]", b"[1", b"\xff", b"[" * 100_000])
def test_what_is_no_array_is_malformed(broken: bytes) -> None:
    with pytest.raises(Refused) as raised:
        split(BATCH, broken, 10)
    assert raised.value.status == 400


def test_too_many_events_are_too_large() -> None:
    with pytest.raises(Refused) as raised:
        split(NDJSON, b"{}\n" * 11, 10)
    assert raised.value.status == 413
