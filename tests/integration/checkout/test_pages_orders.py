"""The page of an order says what is: who has paid, what has come, what is over, and what asks for nothing any more."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import msgspec
import pytest

from relance.rules.law.calendar import paris_date
from services.checkout.api.pages.alerts import alert_of
from services.checkout.api.pages.labels import figure_of
from services.checkout.api.pages.tongues import load_tongues
from services.checkout.application.aftercaring import Words
from services.checkout.domain.offers import Price
from services.checkout.domain.orders import Cancel, Deliver, Ship
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.promises import ReportIncident
from services.checkout.domain.refunds import Settle
from services.checkout.domain.statements import RecordReturn, StateWithdrawal
from tests.integration.checkout.after_pages_kit import (
    MAGAZINE,
    after,
    arrived,
    bought,
    said,
    shop_with_subscriptions,
    subscriptions,
)
from tests.integration.checkout.bank_kit import RunningBank
from tests.integration.checkout.owing_kit import works
from tests.integration.checkout.pages_kit import Browser, Hosted, hosted, order_as_far_as


@pytest.fixture(scope="module")
def pages(bank: RunningBank, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    with hosted(tmp_path_factory.mktemp("pages"), bank, shop_with_subscriptions(), guesses_max=10_000) as pages:
        subscriptions(pages)
        yield pages


def does(pages: Hosted, order_id: UUID, act: object) -> None:
    assert not isinstance(pages.run(pages.desk.act("demo", order_id, act)), Refusal)  # type: ignore[arg-type]
    pages.run(works(pages.desk))


def test_what_nobody_has_paid_is_never_called_paid(pages: Hosted) -> None:
    browser = Browser(pages)
    here = order_as_far_as(browser, "recap")
    browser.go(f"{here}/payment")
    browser.submit(f"{here}/payment", {"means": "transfer", "act": "go"})
    browser.send(f"{here}/order", {"recap": browser.hidden("recap"), "terms": "yes"})
    thanks = browser.go(f"{here}/recap")
    order = browser.go(browser.url.removesuffix("/thanks"))
    for page in (thanks, order):
        assert "Paiement attendu" in said(page.text)
        assert "Paiement confirmé" not in page.text
    bought(browser)
    assert "Paiement attendu" not in browser.go(browser.url).text


def test_goods_that_have_all_come_have_arrived_though_a_subscription_goes_on(pages: Hosted) -> None:
    browser = Browser(pages)
    order_id = bought(browser, "LL-AURORE", "LIVRE-LUMIERE", "REVUE")
    does(pages, order_id, Ship(parcel_id="P1", units={"1": 1}, carrier="Colis"))
    does(pages, order_id, Deliver(parcel_id="P1", received_by="consumer"))
    assert "Elle est en route" in said(browser.go(f"/o/{order_id}").text) or "préparons" in said(browser.page.text)
    does(pages, order_id, Ship(parcel_id="P2", units={"2": 1}, carrier="Colis"))
    does(pages, order_id, Deliver(parcel_id="P2", received_by="consumer"))
    assert "Elle est arrivée." in said(browser.go(f"/o/{order_id}").text)


def test_a_parcel_that_never_came_is_said_to_be_lost(pages: Hosted) -> None:
    browser = Browser(pages)
    order_id = bought(browser)
    does(pages, order_id, Ship(parcel_id="P1", units={"1": 1}, carrier="Colis"))
    assert "expédié le" in said(browser.go(f"/o/{order_id}").text)
    report = ReportIncident(parcel_id="P1", kind="lost")
    assert not isinstance(pages.run(pages.desk.report_incident("demo", order_id, report)), Refusal)
    assert "perdu en chemin" in said(browser.go(f"/o/{order_id}").text)


def test_an_order_that_is_over_awaits_nothing(pages: Hosted) -> None:
    browser = Browser(pages)
    order_id = bought(browser)
    does(pages, order_id, Cancel(reason="shop"))
    page = browser.go(f"/o/{order_id}").text
    told = said(page)
    assert "Annulée" in told
    assert 'class="progress"' not in page
    for nonsense in ("Étape", "En préparation", "Livrée", "prévue le", "Prévue le"):
        assert nonsense not in told, nonsense
    assert "rien ne le sera" in said(browser.go(f"/o/{order_id}/delivery").text)
    assert browser.go(f"/o/{order_id}/withdraw").status_code == 200, "what he states is recorded all the same"


def test_what_was_put_right_is_no_alert_any_more(pages: Hosted) -> None:
    browser = Browser(pages)
    order_id = bought(browser, "LL-AURORE", "LL-AURORE")
    arrived(pages, order_id)
    at = pages.desk.clock()
    act = StateWithdrawal(id=str(uuid4()), channel="letter", stated_at=at, received_at=at, units={"1": 1})
    assert not isinstance(pages.run(pages.desk.state_withdrawal("demo", order_id, act, Words())), Refusal)
    pages.run(works(pages.desk))
    page = said(browser.go(f"/o/{order_id}").text)
    assert "Votre rétractation est enregistrée" not in page, "it stands below with all that it says"
    assert "rétractation : 1 sur 2" in page
    day = load_tongues()["fr"].date(paris_date(at) + timedelta(days=figure_of("B16", "return_days")))
    assert f"Renvoyez les articles au plus tard le {day} (L221-23)" in page
    assert "Le retour est à vos frais." in page
    back = RecordReturn(statement_id=act.id, on=paris_date(at))
    assert not isinstance(pages.run(pages.desk.answer_withdrawal("demo", order_id, back)), Refusal)
    pages.run(works(pages.desk))
    page = said(browser.go(f"/o/{order_id}").text)
    assert "envoyé à la main" in page
    assert "Renvoyez les articles" not in page, "they are back"
    (refund,) = after(pages, order_id).order_view.order.refunds
    does(pages, order_id, Settle(refund_id=refund.id, sent_at=pages.desk.clock()))
    page = said(browser.go(f"/o/{order_id}").text)
    assert "envoyé à la main" not in page
    assert re.search(r"129,00 € vous ont été remboursés le \d+(er)? \w+ \d{4}", page)


def test_what_was_withdrawn_as_a_whole_is_not_called_cancelled(pages: Hosted) -> None:
    browser = Browser(pages)
    order_id = bought(browser)
    browser.go(f"/o/{order_id}/withdraw")
    browser.send(f"/o/{order_id}/withdraw", {"nonce": "n", "units.0": "1", "name": "C. Martin"})
    pages.run(works(pages.desk))
    told = said(browser.go(f"/o/{order_id}").text)
    assert "Vous y avez entièrement renoncé." in told
    assert "nnulée" not in told


def test_one_article_of_many_is_withdrawn_without_unticking_the_others(pages: Hosted) -> None:
    browser = Browser(pages)
    order_id = bought(browser, "LL-AURORE", "LL-AMPOULE", "LIVRE-LUMIERE", "REVUE")
    url = f"/o/{order_id}/withdraw"
    assert browser.go(url).text.count("checked") == 4
    (none,) = re.findall(r'href="([^"]+\?chosen=none)"', browser.page.text)
    assert browser.go(none).text.count("checked") == 0
    form = {"nonce": browser.hidden("nonce"), "units.2": "1", "name": "C. Martin"}
    told = said(browser.submit(url, form).text)
    assert "Éloge de la lumière" in told
    assert "Lampe" not in told


def posts(pages: Hosted, browser: Browser, order_id: UUID) -> Iterator[tuple[str, dict[str, str], Callable[[], int]]]:
    """Forms of all kinds, and how often what they say is on record."""
    here, whom = f"/o/{order_id}", {"name": "C. Martin", "email": "camille@example.org"}

    def stated() -> int:
        return len(after(pages, order_id).after.statements)

    browser.go(f"{here}/withdraw")
    yield (
        f"{here}/withdraw",
        whom | {"nonce": "n", "units.0": "1"},
        lambda: len(after(pages, order_id).after.statements),
    )
    browser.go(f"{here}/claim")
    claim = {"nonce": "n", "line": "1", "fault": "x", "asked": "repair"}
    yield f"{here}/claim", claim, lambda: len(after(pages, order_id).after.claims)
    (contract,) = after(pages, order_id).contracts
    browser.go(f"{here}/terminate/{contract.id}")
    yield (
        f"{here}/terminate/{contract.id}", whom | {"nonce": "n", "act": "notify"},
        lambda: len([one for one in after(pages, order_id).contracts if one.termination is not None]),
    )  # fmt: skip
    before = len(pages.run(pages.desk.strays("demo", limit=100)))
    for path, more in (("/withdraw/demo?lang=fr", {}), ("/terminate/demo?lang=fr", {"act": "notify"})):
        browser.go(path)
        form = whom | more | {"nonce": browser.hidden("nonce"), "reference": "la lampe"}
        was = before
        yield path, form, lambda was=was: len(pages.run(pages.desk.strays("demo", limit=100))) - was  # type: ignore[misc]
        before += 1


def test_eight_identical_posts_at_one_time_are_one(pages: Hosted) -> None:
    browser = Browser(pages)
    order_id = bought(browser, "LL-AURORE", "LL-AURORE", "REVUE")
    arrived(pages, order_id)
    for path, form, counted in posts(pages, browser, order_id):
        token = browser.token
        with ThreadPoolExecutor(8) as many:
            sent = [many.submit(browser.send, path, {"csrf": token} | form) for _ in range(8)]
            assert {one.result().status_code for one in sent} <= {200, 303}, path
        assert counted() == 1, path


def test_looking_at_a_page_changes_nothing(pages: Hosted) -> None:
    browser = Browser(pages)
    order_id = bought(browser, "LL-AURORE", "REVUE")
    arrived(pages, order_id)
    (contract,) = after(pages, order_id).contracts
    token = pages.run(pages.desk.issue("demo", "withdrawal", str(order_id), timedelta(days=1)))
    before = (after(pages, order_id).after, after(pages, order_id).order_view.order, after(pages, order_id).contracts)
    query = "?units.0=1&name=C&email=c@example.org&act=notify&nonce=n&line=1&fault=x&asked=repair&reference=x"
    here = f"/o/{order_id}"
    for path in (f"{here}/withdraw", f"{here}/claim", f"{here}/delivery", f"{here}/terminate/{contract.id}",
                 f"/w/{token}", "/withdraw/demo", "/terminate/demo", "/find/demo"):  # fmt: skip
        browser.go(path)
        assert browser.go(f"{path}{query}&csrf={browser.token}").status_code == 200, path
    pages.run(works(pages.desk))
    after_all = after(pages, order_id)
    assert (after_all.after, after_all.order_view.order, after_all.contracts) == before


def test_a_message_that_came_back_is_no_refund_that_failed() -> None:
    french = load_tongues()["fr"]
    unreached = alert_of("order.link.bounced", french)
    for kind in ("refund.made.bounced", "withdrawal.acknowledged.dead", "termination.confirmed.failed", "code.failed"):
        assert alert_of(kind, french) == unreached, kind
    assert alert_of("refund.failed", french) != unreached
    assert alert_of("order.confirmation.bounced", french) != unreached
    assert "l\u2019adresse que vous avez donnée" in alert_of("termination.by_post", french)["title"]


def test_who_bought_a_service_is_led_to_its_dates(pages: Hosted) -> None:
    course = msgspec.structs.replace(MAGAZINE, sku="COURS", product_id="cours", name="Cours", facts={
        "characteristics": "deux heures", "delivery_days": 0,
    })  # fmt: skip
    assert pages.run(pages.desk.put_articles("demo", [course])) is None
    price = Price(id="p1", since=pages.desk.clock() - timedelta(days=60), price_minor=900)
    assert pages.run(pages.desk.put_prices("demo", "COURS", [price])) is None
    browser = Browser(pages)
    order_id = bought(browser, "COURS")
    assert f'href="/o/{order_id}/delivery">Dates, et vos droits' in browser.go(f"/o/{order_id}").text
    assert "Cours" in said(browser.go(f"/o/{order_id}/delivery").text)
    assert "/delivery" not in browser.go(f"/o/{bought(browser, 'REVUE')}").text
