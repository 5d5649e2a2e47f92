"""What is refused, and how it is told."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relance.events.codec import EventError, data_type, decode, problems
from relance.events.envelope import shop_of
from relance.events.guard import MAX_BYTES, MAX_DEPTH, guard, guard_depth
from relance.events.money import currency_code, exponent, minor_units, nearest_minor_units

EVENT: dict[str, Any] = {
    "specversion": "1.0", "id": "1", "source": "/shops/demo", "type": "cart.updated", "time": "2026-11-22T10:00:00Z",
    "visitorid": "v", "data": {"cart_id": "c", "currency": "EUR", "items": [{"product_id": "a", "price_minor": 1}]},
}  # fmt: skip


def _raw(**changes: Any) -> bytes:
    return json.dumps(EVENT | changes).encode()


def _faults(raw: bytes) -> list[tuple[str, str]]:
    with pytest.raises(EventError) as caught:
        decode(raw)
    assert caught.value.problems == problems(raw)
    return [(problem.path, problem.reason) for problem in caught.value.problems]


def test_all_faults_are_told_with_their_paths() -> None:
    items = [{"product_id": "", "quantity": 0}, {"name": 3}, 7]
    faults = _faults(
        _raw(id="", time="2026-11-22", device="tv", source="demo", data={"currency": "eur", "items": items})
    )
    assert [path for path, _ in faults] == [
        "id", "source", "time", "device", "data.cart_id", "data.currency", "data.items[0].product_id",
        "data.items[0].quantity", "data.items[1].product_id", "data.items[1].name", "data.items[2]",
    ]  # fmt: skip


def test_a_missing_type_does_not_hide_other_faults() -> None:
    raw = json.dumps({name: value for name, value in (EVENT | {"id": 3}).items() if name != "type"}).encode()
    assert _faults(raw) == [("type", "is required"), ("id", "Expected `str`, got `int`")]
    assert _faults(_raw(type="cart.stolen")) == [("type", "'cart.stolen' is no type of the catalog")]


def test_alternatives_are_told() -> None:
    faults = _faults(_raw(type="coupon.entered", data={"coupon_id": "x"}))
    assert faults == [("data", "one of cart_id, order_id is required")]


def test_a_long_list_of_faults_is_cut() -> None:
    assert len(_faults(_raw(data={"cart_id": "c", "items": [3] * 100}))) == 50


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "truncated"),
        (b"[]", "must be a JSON object"),
        (b'{"a": NaN}', "malformed"),
        (b'{"a": 1} {"b": 2}', "trailing"),
        (b"\xef\xbb\xbf{}", "malformed"),
        (_raw()[:-1], "truncated"),
        (_raw(x="PLACE").replace(b"PLACE", b"\xff"), "not UTF-8"),
        (_raw(x="PLACE").replace(b"PLACE", rb"\u0000"), "NUL"),
        (_raw(x="PLACE").replace(b"PLACE", rb"\\\u0000"), "NUL"),
        (_raw(x="PLACE").replace(b"PLACE", b"\x00"), "malformed"),
        (_raw(x="y" * MAX_BYTES), "bytes"),
        (_raw()[:-1] + b', "x": ' + b"[" * 65 + b"]" * 65 + b"}", "nested deeper"),
        (_raw()[:-1] + b', "x": ' + b'{"a":' * 30_000, "nested deeper"),
    ],
)
def test_bytes_on_which_readers_disagree_are_refused(raw: bytes, reason: str) -> None:
    ((path, told),) = _faults(raw)
    assert path == ""
    assert reason in told


def test_what_only_looks_dangerous_is_taken() -> None:
    decode(_raw(x="PLACE").replace(b"PLACE", rb"\\u0000"))
    decode(_raw(x="[" * 100 + "{" * 100, y=[[]] * 100))
    decode(_raw()[:-1] + b', "x": ' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}")


def test_the_last_of_equal_keys_counts_save_for_the_type() -> None:
    assert decode(_raw()[:-1] + b', "id": "2"}').id == "2"
    with pytest.raises(EventError):
        decode(_raw()[:-1] + b', "type": "page.viewed"}')


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_break_the_decoder(raw: bytes) -> None:
    with pytest.raises(EventError):
        decode(raw)
    assert problems(raw)


NESTED = st.recursive(
    st.none() | st.integers() | st.text(alphabet='[]{}"\\a\x00', max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='[]{}"\\', max_size=3), inner, max_size=3)
    ),
)


def _depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)


@given(NESTED, st.integers(0, 70))
def test_depth_is_that_of_arrays_and_objects_outside_of_strings(value: Any, more: int) -> None:
    for _ in range(more):
        value = [value, "[[", {}]
    if _depth(value) > MAX_DEPTH:
        with pytest.raises(ValueError, match="deeper"):
            guard_depth(json.dumps(value).encode())
    else:
        guard_depth(json.dumps(value).encode())


@given(st.text(alphabet='\\u0\x00a"', max_size=12))
def test_nul_is_seen_through_any_escapes(text: str) -> None:
    raw = json.dumps(text).encode()
    if "\x00" in text:
        with pytest.raises(ValueError, match="NUL"):
            guard(raw)
    else:
        guard(raw)


@pytest.mark.parametrize(
    ("source", "shop"),
    [
        ("/shops/demo", "demo"),
        ("/shops/d.e-m_o/", "d.e-m_o"),
        ("/shops/0/browser/x", "0"),
        (f"/shops/{'a' * 64}", "a" * 64),
    ],
)
def test_the_shop_stands_in_the_source(source: str, shop: str) -> None:
    assert shop_of(source) == shop


@pytest.mark.parametrize(
    "source",
    ["", "/shops/", "/shops//x", "shops/demo", "/shops/é", "/shops/.a", "/shops/a b", "/shops/a/b c", "/shops/a\n",
     f"/shops/{'a' * 65}", "/shop/demo", "https://x/shops/demo"],
)  # fmt: skip
def test_another_source_names_no_shop(source: str) -> None:
    with pytest.raises(ValueError, match=r"must be /shops/"):
        shop_of(source)


def test_currencies_have_codes_in_the_order_of_their_letters() -> None:
    assert currency_code("AAA") == 0b00001_00001_00001
    assert currency_code("EUR") == 5 << 10 | 21 << 5 | 18
    for wrong in ("", "EU", "eur", "EURO", "ÉUR", "E1R"):
        with pytest.raises(ValueError, match="ISO 4217"):
            currency_code(wrong)


def test_amounts_are_exact() -> None:
    assert minor_units("35.79", "USD") == 3579
    assert minor_units("35.790", "USD") == 3579
    assert minor_units(1.1, "USD") == 110
    assert minor_units("-0.01", "USD") == -1
    assert (exponent("JPY"), exponent("KWD"), exponent("CLF"), exponent("")) == (0, 3, 4, 2)
    assert nearest_minor_units("0.005", "EUR") == 1
    for wrong in ("0.001", "1,5", "Infinity", "1e400", ""):
        with pytest.raises(ValueError, match=r"is finer|is not an amount"):
            minor_units(wrong, "EUR")


def test_data_types_are_known_by_type() -> None:
    assert data_type("cart.updated").__name__ == "SnapshotData"
    with pytest.raises(KeyError):
        data_type("cart.stolen")
