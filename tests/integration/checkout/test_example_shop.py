"""The example shop, as a visitor's browser without JavaScript goes through it, up to the order at the bank."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from examples.shop import aftersales, headless
from examples.shop.settings import Settings
from relance.cli.demo_checkout.browser import Browser
from relance.rpc.checkout.v1 import aftercare_pb2
from relance.rpc.checkout.v1 import checkout_pb2 as pb
from tests.integration.checkout.aftercare_kit import After, delivered, paid, today, withdrawal
from tests.integration.checkout.service_kit import EXAMPLE, Backend, Service, free_ports, put_example, running_service
from tests.integration.conftest import Running

ADDRESS = {"name": "Camille Durand", "line1": "12 rue des Carmes", "postcode": "44000", "city": "Nantes"}


class Shop:
    def __init__(self, url: str, service: Service, backend: Backend, running: Running) -> None:
        self.url, self.service, self.backend, self.running = url, service, backend, running


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    with running_service(folder) as service:
        backend = service.backend("demo")
        put_example(service, backend.token)
        facts = yaml.safe_load((EXAMPLE / "shop.yaml").read_text()) | {"base_url": url, "return_urls": [url]}
        here = Path(folder) / "shop.yaml"
        here.write_text(yaml.safe_dump(facts, allow_unicode=True))
        service.relance("checkout", "shop", "put", str(here), token=backend.token)
        own = {
            "SHOP_PORT": str(port),
            "RELANCE_CHECKOUT_ADDRESS": service.grpc,
            "RELANCE_CHECKOUT_TOKEN": backend.token,
            "RELANCE_CHECKOUT_BASE_URL": service.http,
        }
        running = Running("shop", [sys.executable, "-m", "examples.shop"], os.environ | own, folder / "shop.log")
        try:
            running.until_answers(url, 30)
            yield Shop(url, service, backend, running)
        finally:
            running.kill()


def test_a_visitor_fills_a_cart_orders_and_pays(shop: Shop) -> None:
    before = {one.order_id for one in shop.backend.ListOrders(pb.ListOrdersRequest()).orders}
    browser = Browser("Firefox")
    try:
        home = browser.open(shop.url)
        assert "Lampe Aurore" in home.html
        browser.submit(browser.open(home.link("LL-CAFETIERE")), sku="LL-CAFETIERE")
        cart = browser.open(f"{shop.url}/cart")
        assert "Cafetière Vapeur" in cart.html
        form = next(place for place, one in enumerate(cart.forms) if one.action == "/checkout")
        page = browser.submit(cart._replace(forms=cart.forms[form:]))
        assert page.url.startswith(f"{shop.service.http}/c/")
        page = browser.submit(
            browser.open(page.link("/contact")), email="ada@client.example", first_name="Ada", last_name="M"
        )
        page = browser.submit(page, mode="home", **ADDRESS)
        page = browser.submit(page, ("act", "go"), means="card")
        page = browser.submit(page, terms="yes")
        assert page.url.startswith(shop.service.bank.url)
        page = browser.submit(page, number="4242424242424242", expiry="12/60", code="123")
        assert page.url.endswith("/thanks")
        assert shop.url in page.html  # the way back
    finally:
        browser.close()
    made = [one for one in shop.backend.ListOrders(pb.ListOrdersRequest()).orders if one.order_id not in before]
    assert [order.state for order in made] == ["confirmed"]


def test_what_is_not_there_and_what_comes_from_elsewhere_is_refused(shop: Shop) -> None:
    assert httpx.get(f"{shop.url}/articles/NOPE").status_code == 404
    with httpx.Client(base_url=shop.url) as client:
        client.get("/")
        added = {"sku": "LL-AURORE", "quantity": "1"}
        assert client.post("/cart", data=added, headers={"origin": "https://evil.example"}).status_code == 400
        assert client.post("/cart", data=added | {"sku": "NOPE"}).status_code == 400
        sorry = client.post("/checkout")
        assert sorry.status_code == 409
        assert "empty" in sorry.text
        page = client.get("/cart")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "vide" in page.text


def test_whoever_wants_to_withdraw_finds_the_function_on_every_page(shop: Shop) -> None:
    browser = Browser("Firefox")
    try:
        page = browser.open(browser.open(f"{shop.url}/cart").link("/retractation"))
    finally:
        browser.close()
    assert page.url == f"{shop.service.http}/withdraw/demo"
    assert page.status == 200


def test_a_shop_with_pages_of_its_own_orders_too(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings("demo", 0, shop.service.grpc, shop.backend.token, "", "")
    order_id = headless.order(settings, {"LIVRE-LUMIERE": 1, "FILM-ECLAIRER": 1}, "ada@client.example")
    said = capsys.readouterr().out
    assert "withdrawal_form (B11" in said
    order = shop.backend.GetOrder(pb.GetOrderRequest(order_id=order_id)).order
    assert order.tenders[0].means == "transfer"


def test_the_shops_morning_tells_what_needs_hands_and_what_the_warehouse_says_is_done_once(shop: Shop) -> None:
    after = After(shop.backend, shop.service)
    order = delivered(shop.backend, {"LL-AURORE": 2})
    first, second = (after.RecordWithdrawal(one_of(order)).statement_id for _ in range(2))
    gone = paid(shop.backend, {"LL-AURORE": 2})
    own = aftersales.Aftersales(shop.service.channel, shop.backend.token)
    assert {f"look out for goods: order {order.order_id}, statement {one}" for one in (first, second)} <= {
        *own.morning()
    }
    for _ in range(2):
        found = own.returned(order.order_id, first, today())
        assert {one.statement_id: bool(one.returned_on) for one in found.statements} == {first: True, second: False}
        assert sorted(due.state for due in found.dues) == ["open", "waiting"]
    for record, sums in (("W-1", 1), ("W-1", 1), ("W-2", 2)):
        dues = own.gone(gone.order_id, gone.lines[0].id, record).dues
        assert len(dues) == sums, "told twice it is done once; the next loss of the line is another"
    assert all(line for line in own.morning())
    settings = Settings("demo", 0, shop.service.grpc, shop.backend.token, "", "")
    assert aftersales.main([], settings) == 0
    assert aftersales.main(["gone", str(order.order_id), "9", "W-3"], settings) == 1
    assert aftersales.main(["returned", str(order.order_id), "none"], settings) == 1
    assert aftersales.main(["returned", str(order.order_id)], settings) == 2, "which withdrawal is not guessed"


def one_of(order: pb.Order) -> aftercare_pb2.RecordWithdrawalRequest:
    """A withdrawal of one unit of its first line."""
    return withdrawal(order.order_id, units={order.lines[0].id: 1})
