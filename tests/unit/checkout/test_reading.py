"""What a shop's backend sends is bounded, and in one line where it is a name."""

from typing import Any

import pytest

from relance.rpc.checkout.v1 import checkout_pb2 as pb
from services.checkout.api.reading import read_codes, read_contact, read_lines
from services.checkout.api.refusals import Refused


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("first_name", "Camille\r\nBcc: all@example.com"),
        ("last_name", "x" * 101),
        ("phone", "+33\x00123456"),
        ("email", "a@example.com\nTo: b@example.com"),
        ("email", ""),
    ],
)
def test_a_contact_is_of_single_lines(field: str, text: str) -> None:
    given: dict[str, Any] = {"email": "camille@example.com", "first_name": "Camille"} | {field: text}
    with pytest.raises(Refused) as told:
        read_contact(pb.Contact(**given))
    assert told.value.text.startswith(f"contact.{field}:")


def test_a_contact_may_leave_out_what_is_not_needed() -> None:
    contact = read_contact(pb.Contact(email="camille@example.com", last_name="Élise d'Or")).contact
    assert (contact.email, contact.first_name, contact.last_name, contact.phone) == (
        "camille@example.com", None, "Élise d'Or", None,
    )  # fmt: skip


def test_lines_and_codes_have_a_number_that_is_enough() -> None:
    assert read_codes(["A", "B"], "cart.coupons") == ("A", "B")
    for codes in (["A"] * 11, ["x" * 129], [""]):
        with pytest.raises(Refused):
            read_codes(codes, "cart.coupons")
    with pytest.raises(Refused):
        read_lines([pb.CartLine(sku="L-1", quantity=1)] * 501, "cart.lines")
