import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relance.evidence.canonical import INTEGER_MAX, canonical, parse
from relance.kernel.errors import InputError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-INTEGER_MAX, INTEGER_MAX) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_a_value_has_one_text_and_comes_back_from_it(value: object) -> None:
    data = canonical(value)
    assert parse(data) == value
    assert canonical(json.loads(data)) == data


def test_keys_are_ordered_as_rfc_8785_does_with_its_own_example() -> None:
    given = {"€": 1, "\r": 2, "\ufb33": 3, "1": 4, "😀": 5, "\x80": 6, "ö": 7}
    assert list(parse(canonical(given))) == ["\r", "1", "\x80", "ö", "€", "😀", "\ufb33"]


def test_escapes_are_those_of_rfc_8785() -> None:
    assert canonical('€$\x0f\nA\'B"\\\\"/') == rb'"' + "€$".encode() + rb"\u000f\nA'B\"\\\\\"/" + b'"'


@pytest.mark.parametrize("value", [1.5, float("nan"), 2**53, b"x", {1: 2}, "\ud800", {"a": {"b": 0.0}}])
def test_what_has_no_one_text_is_refused(value: object) -> None:
    with pytest.raises(InputError):
        canonical(value)


def test_depth_is_bounded_in_both_directions() -> None:
    deep: object = 0
    for _ in range(40):
        deep = [deep]
    with pytest.raises(InputError, match="32 levels"):
        canonical(deep)
    with pytest.raises(InputError):
        parse(b"[" * 100_000 + b"]" * 100_000)


@pytest.mark.parametrize(
    "data", [b'{"a": 1}', b'{"b":1,"a":2}', b'{"a":1,"a":1}', b"1.0", b"1e3", b'"\\u0041"', b"\xff", b"", b"[1]\n"]
)
def test_any_other_text_of_a_value_is_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        parse(data)
