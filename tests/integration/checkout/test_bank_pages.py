"""The bank's pages and doors: readable by all, without JavaScript, and closed to what does not belong there."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from html.parser import HTMLParser

import httpx
import pytest
from typing_extensions import override

from services.checkout.adapters.stripe_provider import StripeProvider
from services.checkout.ports import Opened
from tests.integration.checkout.bank_kit import KEY, RunningBank, an_attempt, ask_of, provider_of, running_bank


class Page(HTMLParser):
    """What a reader of the page meets."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def bank() -> Iterator[RunningBank]:
    with running_bank("--merchant", "Lampes <de> Loire", "--answer-ms", "5") as started:
        yield started


@pytest.fixture
async def provider(bank: RunningBank) -> AsyncIterator[StripeProvider]:
    async with provider_of(bank.url, methods={"all": ["card", "sepa_debit"]}) as connected:
        yield connected


async def page_of(provider: StripeProvider, locale: str, means: str = "all") -> str:
    answer = await provider.open(ask_of(an_attempt(means=means), locale=locale)._replace(description="<b>Commande</b>"))
    assert isinstance(answer, Opened)
    return answer.url


@pytest.mark.parametrize(("locale", "language", "amount"), [("fr-FR", "fr", "49,90\u00a0€"), ("en", "en", "€49.90")])
async def test_every_page_is_whole_and_readable(
    bank: RunningBank, provider: StripeProvider, locale: str, language: str, amount: str
) -> None:
    url = await page_of(provider, locale)
    pages = [
        bank.http.get(url),
        bank.pay(url, "4000000000009995"),
        bank.pay(url, "1"),
        bank.pay(url, "4242424242424242", "1/20"),
    ]
    bank.pay(url, "4000009900000012")
    pages.append(bank.http.get(url, follow_redirects=True))
    for answer in pages:
        page = Page(answer.text)
        assert page.all("html")[0]["lang"] == language
        assert [len(page.all(tag)) for tag in ("title", "h1", "main", "script", "img", "link")] == [1, 1, 1, 0, 0, 0]
        labelled = {label["for"] for label in page.all("label")}
        assert {field["id"] for field in page.all("input")} == labelled
        assert amount in answer.text
        assert "Lampes &lt;de&gt; Loire" in answer.text
        assert "<b>Commande" not in answer.text
        assert len(answer.content) < 100_000
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "form-action 'self' http://127.0.0.1:9" in policy
    assert [answer.status_code for answer in pages] == [200, 402, 422, 422, 200]
    assert all('role="alert"' in answer.text for answer in pages[1:4])


async def test_a_page_that_has_ended_leads_back(bank: RunningBank, provider: StripeProvider) -> None:
    paid, left = await page_of(provider, "fr"), await page_of(provider, "fr")
    bank.pay(paid, "4242424242424242")
    assert "?paid=1" in bank.http.get(paid).text
    session = left.rsplit("/", 1)[1]
    bank.http.post(f"/v1/checkout/sessions/{session}/expire", headers={"Authorization": f"Bearer {KEY}"})
    ended = bank.http.get(left)
    assert ended.status_code == 410
    assert "?back=1" in ended.text
    assert bank.answer(left, "confirm").status_code == 303


async def test_what_a_shopper_cannot_do(bank: RunningBank, provider: StripeProvider) -> None:
    url = await page_of(provider, "fr", "card")
    assert bank.http.get(f"{bank.url}/c/pay/cs_test_other").status_code == 404
    assert bank.answer(url, "confirm").headers["location"].startswith("/c/pay/"), "nobody has asked"
    assert bank.pay_by_debit(url, "FR1420041010050500013M02606").status_code == 422, "debits are not offered here"
    assert bank.http.post(url, content=b"number=" + b"4" * 20_000).status_code == 413
    assert not [one for one in bank.charges() if one["session"] == url.rsplit("/", 1)[1]]


def test_the_api_asks_for_a_key(bank: RunningBank) -> None:
    for authorization in ("", "Bearer", "Bearer sk_live_x", "Basic abc"):
        headers = {"Authorization": authorization} if authorization else {}
        answer = bank.http.get("/v1/charges", headers=headers)
        assert (answer.status_code, answer.json()["error"]["type"]) == (401, "invalid_request_error")
    allowed = {"Authorization": f"Bearer {KEY}"}
    assert bank.http.get("/v1/charges", headers=allowed).status_code == 200
    unknown = bank.http.get("/v1/payment_intents/pi_other", headers=allowed)
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "resource_missing")
    wrong = bank.http.post("/v1/checkout/sessions", headers=allowed, data={"mode": "payment", "surprise": "1"})
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "surprise")
    assert bank.http.post("/v1/refunds", headers=allowed, content=b"a" * 70_000).status_code == 413


def test_no_other_site_reaches_the_controls(bank: RunningBank) -> None:
    form = bank.http.post("/_bank/clock", content=b'{"ahead_s": 5}', headers={"Content-Type": "text/plain"})
    assert form.status_code == 415
    assert bank.http.post("/_bank/clock", json={"ahead": 5}).status_code == 400
    assert bank.http.post("/_bank/pay", json={"session": "cs_other"}).status_code == 404


async def test_it_answers_in_the_time_that_it_was_told(bank: RunningBank) -> None:
    async with httpx.AsyncClient(base_url=bank.url, headers={"Authorization": f"Bearer {KEY}"}) as client:
        loop, times = asyncio.get_running_loop(), []
        for _ in range(20):
            begun = loop.time()
            await client.get("/v1/charges/ch_none")
            times.append(loop.time() - begun)
    assert min(times) >= 0.005
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", bank.url)
