"""`CheckoutService`, asked as a shop's backend would ask the running process."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
import yaml

from relance.rpc.checkout.v1 import checkout_pb2 as pb
from tests.integration.checkout.service_kit import (
    ACTS,
    EXAMPLE,
    ON_BOTH,
    Backend,
    Refusal,
    Service,
    cart,
    click,
    filled_in,
    ordered,
)

pytestmark = ON_BOTH
LAMP, BOOK, FILM = {"LL-AURORE": 1}, {"LIVRE-LUMIERE": 1}, {"FILM-ECLAIRER": 1}
CODE = grpc.StatusCode


def _text(path: Path) -> str:
    return path.read_bytes().decode("latin-1")


def shown_of(backend: Backend, id_: str) -> pb.GetDisclosuresResponse:
    found: pb.GetDisclosuresResponse = backend.GetDisclosures(pb.GetDisclosuresRequest(checkout_id=id_))
    return found


# -- who may ----------------------------------------------------------------------------


def test_a_call_needs_a_token_that_is_known_and_for_it(service: Service, demo: Backend) -> None:
    ask = pb.ListOrdersRequest()
    assert Backend(service.channel, "").refused("ListOrders", ask).code == CODE.UNAUTHENTICATED
    assert Backend(service.channel, "ct_demo_guess").refused("ListOrders", ask).code == CODE.UNAUTHENTICATED
    assert service.operator.refused("ListOrders", ask).code == CODE.PERMISSION_DENIED
    assert demo.refused("CreateToken", pb.CreateTokenRequest(shop="demo")).code == CODE.PERMISSION_DENIED


async def test_a_token_is_kept_as_its_hash_and_can_be_revoked(service: Service, demo: Backend) -> None:
    spare = service.backend("demo")
    spare.ListOrders(pb.ListOrdersRequest())
    kept = repr(await service.kept()) + "".join(map(_text, service.home.parent.glob("checkout.db*")))
    assert spare.token not in kept
    assert demo.token not in kept
    assert sha256(spare.token.encode()).hexdigest() in kept
    service.relance("checkout", "token", "revoke", spare.token)
    assert spare.refused("ListOrders", pb.ListOrdersRequest()).code == CODE.UNAUTHENTICATED


def test_a_call_is_bounded_in_time(demo: Backend) -> None:
    for timeout in (None, 300.0):
        refused = demo.refused("ListOrders", pb.ListOrdersRequest(), timeout)
        assert (refused.code, refused.field) == (CODE.INVALID_ARGUMENT, "deadline")


def test_another_shops_checkout_and_order_are_not_there(demo: Backend, other: Backend) -> None:
    id_ = filled_in(demo, LAMP)
    order_id = demo.Place(click(id_, shown_of(demo, id_))).order_id
    nobody = str(uuid4())
    for asked in (id_, nobody):
        refused = other.refused("GetCheckout", pb.GetCheckoutRequest(checkout_id=asked))
        assert (refused.code, refused.text) == (CODE.NOT_FOUND, f"there is no checkout {asked}")
        refused = other.refused("GetDisclosures", pb.GetDisclosuresRequest(checkout_id=asked))
        assert refused.code == CODE.NOT_FOUND
    for asked in (order_id, nobody):
        refused = other.refused("GetOrder", pb.GetOrderRequest(order_id=asked))
        assert (refused.code, refused.text) == (CODE.NOT_FOUND, f"there is no order {asked}")
        cancel = pb.CancelOrderRequest(idempotency_key="k", order_id=asked, reason="not mine")
        assert other.refused("CancelOrder", cancel).code == CODE.NOT_FOUND
    assert not other.ListOrders(pb.ListOrdersRequest()).orders


# -- what a shop tells of itself ----------------------------------------------------------------------------


def test_a_shop_that_lacks_a_fact_of_the_law_is_refused_with_its_rule(demo: Backend) -> None:
    shop = yaml.safe_load((EXAMPLE / "shop.yaml").read_text())
    del shop["trader"]["mediator"]
    refused = demo.refused("PutShop", pb.PutShopRequest(shop=json.dumps(shop).encode()))
    assert refused.code == CODE.FAILED_PRECONDITION
    assert "mediator" in refused.field
    assert refused.rule
    assert refused.article


def test_a_shop_is_put_by_its_own_token(demo: Backend, other: Backend) -> None:
    own = demo.GetShop(pb.GetShopRequest()).shop
    assert other.refused("PutShop", pb.PutShopRequest(shop=own)).field == "shop.id"
    assert json.loads(own)["trader"]["name"] == "Lampes de Loire SARL"


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("PutShop", pb.PutShopRequest(shop=b"{"), "shop"),
        ("PutShop", pb.PutShopRequest(shop=b'{"id": 3}'), "shop.id"),
        ("PutArticles", pb.PutArticlesRequest(), "articles"),
        ("PutArticles", pb.PutArticlesRequest(articles=[b'{"sku": "x"}']), "articles.0.product_id"),
        ("PutOffers", pb.PutOffersRequest(offers=[pb.Offer(prices=[])]), "offers.0.sku"),
        ("PutStock", pb.PutStockRequest(levels=[pb.StockLevel(sku="LL-AURORE", on_hand=-1)]), "levels.LL-AURORE"),
        ("PutCoupons", pb.PutCouponsRequest(coupons=[b'{"code": "X", "kind": "gift"}']), "coupons.0.kind"),
        ("PutPurses", pb.PutPursesRequest(purses=[pb.Purse(ref="R", means="m", balance_minor=-5)]),
         "purses.0.balance_minor"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_request_is_named(demo: Backend, method: str, request_: Any, field: str) -> None:
    refused = demo.refused(method, request_)
    assert (refused.code, refused.field) == (CODE.INVALID_ARGUMENT, field), refused


def test_the_past_of_a_price_is_not_rewritten(demo: Backend) -> None:
    since = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    price = pb.Price(id="aurore-0", since=since, price_minor=1)
    refused = demo.refused("PutOffers", pb.PutOffersRequest(offers=[pb.Offer(sku="LL-AURORE", prices=[price])]))
    assert (refused.code, refused.rule) == (CODE.FAILED_PRECONDITION, "D01")


def test_the_command_line_says_what_is_wrong(service: Service, demo: Backend, tmp_path: Path) -> None:
    wrong = tmp_path / "shop.yaml"
    shop = yaml.safe_load((EXAMPLE / "shop.yaml").read_text())
    shop["trader"]["phone"] = ""
    wrong.write_text(yaml.safe_dump(shop, allow_unicode=True))
    said = service.relance("checkout", "shop", "put", str(wrong), token=demo.token, code=2)
    assert "shop.trader.phone: the trader's phone is not displayed (A27, R221-2 1°)" in said
    said = service.relance("checkout", "orders", "show", "x", token=demo.token, code=2)
    assert "order_id: is no id" in said
    wrong.write_text("id: [")
    assert "shop.yaml:1" in service.relance("checkout", "shop", "put", str(wrong), token=demo.token, code=2)
    assert "no token" in service.relance("checkout", "orders", "list", code=2)


# -- a checkout ----------------------------------------------------------------------------


def test_a_cart_becomes_a_checkout_priced_with_delivery_and_law(demo: Backend, service: Service) -> None:
    made = demo.CreateCheckout(cart(LAMP | BOOK | FILM))
    found = made.checkout
    assert made.url.startswith(f"{service.http}/enter/")
    assert found.state == "open"
    totals = found.totals
    assert totals.goods_minor == 12900 + 2200 + 500
    assert totals.total_minor == totals.goods_minor + totals.delivery_minor - totals.discount_minor
    fees = {mode.id: mode.fee_minor for mode in found.delivery_modes}
    assert fees == {"home": 490, "relay": 390, "express": 1290, "collect": 0}  # new books never travel for nothing
    assert totals.delivery_minor == 0  # the cheapest, until one is chosen
    assert not found.blockers
    assert demo.GetCheckout(pb.GetCheckoutRequest(checkout_id=found.checkout_id)).checkout == found


def test_the_same_key_is_answered_again_and_another_body_is_refused_with_its_field(demo: Backend) -> None:
    request = cart(LAMP)
    first, again = demo.CreateCheckout(request), demo.CreateCheckout(request)
    assert first.checkout == again.checkout
    assert first.url != again.url  # each opens once
    request.cart.lines[0].quantity = 2
    refused = demo.refused("CreateCheckout", request)
    assert (refused.code, refused.field) == (CODE.ALREADY_EXISTS, "cart.lines.0.quantity")
    request.idempotency_key = ""
    assert demo.refused("CreateCheckout", request).field == "idempotency_key"


def test_fifty_requests_at_once_make_one_checkout(demo: Backend) -> None:
    request = cart(LAMP)

    def create(_: int) -> str:
        try:
            return str(demo.CreateCheckout(request).checkout.checkout_id)
        except grpc.RpcError as error:
            refused = Refusal(error)
            assert (refused.code, refused.field) == (CODE.ABORTED, "idempotency_key")
            return ""

    with ThreadPoolExecutor(50) as pool:
        found = set(pool.map(create, range(50))) - {""}
    assert len(found) == 1
    assert demo.CreateCheckout(request).checkout.checkout_id in found


def test_what_cannot_be_sold_is_said_with_its_field(demo: Backend) -> None:
    assert demo.refused("CreateCheckout", cart({"UNKNOWN": 1})).field == "lines.UNKNOWN"
    assert demo.refused("CreateCheckout", cart({})).field == "lines"
    refused = demo.refused("CreateCheckout", cart({"LL-AURORE": 0}))
    assert (refused.code, refused.field) == (CODE.INVALID_ARGUMENT, "cart.lines.0.quantity")
    elsewhere = cart(LAMP)
    elsewhere.return_url = "https://evil.example/"
    assert demo.refused("CreateCheckout", elsewhere).field == "return_url"
    sold_out = demo.CreateCheckout(cart({"LL-CAFETIERE": 13})).checkout
    assert [one.field for one in sold_out.refusals] == ["lines.LL-CAFETIERE"]
    assert not sold_out.allowed
    odd = demo.CreateCheckout(cart(LAMP, coupons=["NOPE"])).checkout
    assert odd.refusals
    assert "coupon" in odd.refusals[0].field


# -- a page of the shop's own ----------------------------------------------------------------------------


def test_nothing_is_disclosed_before_all_is_known(demo: Backend) -> None:
    id_ = demo.CreateCheckout(cart(LAMP)).checkout.checkout_id
    refused = demo.refused("GetDisclosures", pb.GetDisclosuresRequest(checkout_id=id_))
    assert (refused.code, refused.field) == (CODE.FAILED_PRECONDITION, "checkout.state")


def test_a_set_holds_texts_with_their_hashes_the_recap_and_lawful_buttons(demo: Backend) -> None:
    shown = shown_of(demo, filled_in(demo, LAMP | FILM))
    assert all(sha256(text.text.encode()).hexdigest() == text.sha256 for text in shown.texts)
    assert {"withdrawal_form", "early_start"} <= {text.name for text in shown.texts}
    assert all(text.rule and text.article for text in shown.texts)
    assert sha256(shown.recap).hexdigest() == shown.recap_sha256
    assert json.loads(shown.recap)["total_minor"] == shown.totals.total_minor
    assert shown.button_texts[0] == "Commander avec obligation de paiement"
    left = datetime.fromisoformat(shown.expires_at) - datetime.now(UTC)
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)


@pytest.mark.parametrize(
    ("changed", "field", "rule"),
    [
        ({"channel": pb.CHANNEL_PHONE_OUTBOUND}, "channel", "E13"),
        ({"button_text": "Commander"}, "button_text", "A04"),
        ({"button_text": "Zahlungspflichtig bestellen"}, "button_text", "A04"),
        ({"set_id": "00000000-0000-0000-0000-000000000000"}, "set_id", ""),
        ({"locale": "en"}, "locale", ""),
    ],
)
def test_a_click_that_the_law_does_not_allow_orders_nothing(
    demo: Backend, changed: dict[str, Any], field: str, rule: str
) -> None:
    id_ = filled_in(demo, LAMP)
    refused = demo.refused("Place", click(id_, shown_of(demo, id_), **changed))
    assert (refused.code, refused.field, refused.rule) == (CODE.FAILED_PRECONDITION, field, rule), refused
    assert not demo.GetCheckout(pb.GetCheckoutRequest(checkout_id=id_)).checkout.order_id


def test_a_text_that_was_not_shown_or_shown_otherwise_orders_nothing(demo: Backend) -> None:
    id_ = filled_in(demo, LAMP)
    shown = shown_of(demo, id_)
    rendered = {text.name: text.sha256 for text in shown.texts}
    for name, rest in (("missing", {}), ("other", {"withdrawal_form": "0" * 64})):
        kept = {key: value for key, value in rendered.items() if key != "withdrawal_form"} | rest
        refused = demo.refused("Place", click(id_, shown, rendered=kept))
        assert (refused.field, refused.rule) == ("rendered.withdrawal_form", "B11"), name
    without = [kind for kind in ACTS if kind != pb.ACT_KIND_TERMS_ACCEPTED]
    acts = [pb.ShopperAct(kind=kind, at=datetime.now(UTC).isoformat()) for kind in without]
    refused = demo.refused("Place", click(id_, shown, acts=acts))
    assert (refused.field, refused.rule) == ("acts.terms_accepted", "A09")
    refused = demo.refused("Place", click(id_, shown, acts=[pb.ShopperAct(kind=ACTS[0], at="yesterday")]))
    assert (refused.code, refused.field) == (CODE.INVALID_ARGUMENT, "acts.0.at")


def test_digital_content_asks_for_both_acts(demo: Backend) -> None:
    id_ = filled_in(demo, FILM | LAMP)
    kinds = (pb.ACT_KIND_RECAP_SHOWN, pb.ACT_KIND_TERMS_ACCEPTED, pb.ACT_KIND_ORDER_PRESSED)
    acts = [
        pb.ShopperAct(kind=kind, at=(datetime.now(UTC) + timedelta(milliseconds=place)).isoformat())
        for place, kind in enumerate(kinds)
    ]
    shown = shown_of(demo, id_)
    placed = demo.Place(click(id_, shown, acts=acts))
    order = demo.GetOrder(pb.GetOrderRequest(order_id=placed.order_id)).order
    assert order.state in {"placed", "confirmed"}  # without the acts the film waits for the end of the period


def test_a_change_after_the_disclosures_asks_for_new_ones(demo: Backend) -> None:
    id_ = filled_in(demo, LAMP)
    shown = shown_of(demo, id_)
    lines = [pb.CartLine(sku="LL-AURORE", quantity=2)]
    demo.UpdateCheckout(pb.UpdateCheckoutRequest(checkout_id=id_, cart=pb.NewLines(lines=lines)))
    refused = demo.refused("Place", click(id_, shown))
    assert (refused.code, refused.field, refused.rule) == (CODE.FAILED_PRECONDITION, "recap.hash", "A07")
    assert demo.Place(click(id_, shown_of(demo, id_))).order_id


def test_a_click_makes_one_order_however_often_it_is_told(demo: Backend) -> None:
    id_ = filled_in(demo, BOOK)
    shown = shown_of(demo, id_)
    request = click(id_, shown)
    first = demo.Place(request)
    assert demo.Place(request) == first
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda _: demo.Place(click(id_, shown)), range(20)))
    assert {one.order_id for one in found} == {first.order_id}
    assert all(one.again for one in found)


async def test_evidence_says_that_the_shop_attests(service: Service, demo: Backend) -> None:
    order_id = ordered(demo, LAMP).order_id
    kept = await service.kept()
    (chain,) = [one for one in kept["evidence_chains"] if one["order_id"] == order_id]
    entries = [json.loads(one["data"]) for one in kept["evidence_entries"] if one["chain"] == chain["chain"]]
    attested = [entry for entry in entries if entry["by"] == "shop"]
    assert {"contact", "delivery", "payment", "recap", "attestation", "terms", "button"} <= {
        entry["what"] for entry in attested
    }
    said = next(entry["facts"] for entry in attested if entry["what"] == "attestation")
    assert said["button"] == "Commander avec obligation de paiement"
    assert set(said["acts"]) >= {"recap_shown", "terms_accepted", "order_pressed"}
    assert "Firefox" not in repr(kept) + "".join(map(_text, service.home.parent.glob("checkout.db*")))
