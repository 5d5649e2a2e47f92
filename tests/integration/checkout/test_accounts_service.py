"""The shop's word on its customer as a backend gives it: with the cart, over gRPC, to the running process."""

import json
import time
from typing import Any
from uuid import uuid4

import grpc
import httpx
import jwt
import pytest

from relance.rpc.checkout.v1 import checkout_pb2 as pb
from tests.integration.checkout.service_kit import Backend, Service, cart

ISSUER, SECRET = "https://lumiere.example.org", "of both sides, and nobody else " * 3
LAMP = {"LL-AURORE": 1}


@pytest.fixture(scope="module")
def shop(demo: Backend) -> Backend:
    """The example shop with a key of its own."""
    own = json.loads(demo.GetShop(pb.GetShopRequest()).shop)
    own["assertions"] = [{"id": "k", "issuer": ISSUER, "secret": SECRET}]
    demo.PutShop(pb.PutShopRequest(shop=json.dumps(own).encode()))
    return demo


def signed(service: Service, **claims: Any) -> str:
    said = {
        "iss": ISSUER, "aud": f"{service.http}/demo", "sub": "ada-7", "exp": int(time.time()) + 200,
        "jti": uuid4().hex, "name": "Ada Lovelace", "email": "ada@example.org", "email_verified": True,
    } | claims  # fmt: skip
    return jwt.encode(said, SECRET, "HS256", {"kid": "k"})


def named(assertion: str) -> pb.CreateCheckoutRequest:
    """A cart, with the shop's word on whose it is."""
    request = cart(LAMP)
    request.assertion = assertion
    return request


def entered(url: str, path: str = "contact") -> str:
    """The page of a step, for the browser that the link let in."""
    answer = httpx.get(url)
    assert answer.status_code == 303, answer.text
    cookie = answer.headers["set-cookie"].partition(";")[0]
    where = f"{url.rpartition('/enter/')[0]}{answer.headers['location'].rpartition('/')[0]}/{path}"
    return httpx.get(where, headers={"cookie": cookie}).text


def test_who_the_shop_names_is_signed_in(service: Service, shop: Backend) -> None:
    request = named(signed(service))
    first = shop.CreateCheckout(request)
    page = entered(first.url)
    assert "Ada Lovelace</b>" in page
    assert 'value="ada@example.org"' in page
    again = shop.CreateCheckout(request)
    assert again.checkout.checkout_id == first.checkout.checkout_id
    assert "Ada Lovelace</b>" in entered(again.url)


def test_a_word_that_is_not_good_makes_no_checkout(service: Service, shop: Backend) -> None:
    word = signed(service)
    shop.CreateCheckout(named(word))
    refused = shop.refused("CreateCheckout", named(word))
    assert (refused.code, refused.field) == (grpc.StatusCode.FAILED_PRECONDITION, "assertion.jti")
    for wrong in (signed(service, aud="https://elsewhere.example.org/demo"), "a.b.c"):
        assert shop.refused("CreateCheckout", named(wrong)).field == "assertion"
    late = shop.refused("CreateCheckout", named(signed(service, exp=int(time.time()) + 900)))
    assert late.field == "assertion.exp"


def test_a_link_of_a_guest_signs_nobody_in(shop: Backend) -> None:
    page = entered(shop.CreateCheckout(cart(LAMP)).url)
    assert "Ada" not in page
    assert 'id="account_email"' in page
