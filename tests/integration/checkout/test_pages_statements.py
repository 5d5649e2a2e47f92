"""Statements of consumers on the pages: none is refused for its form or shut out, and each is shown as it stands."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from relance.rules.law.book import default_book
from services.checkout.api.pages.bounds import Pace
from services.checkout.application.aftercaring import Words, opened_words
from services.checkout.domain.aftercare import Stray
from tests.integration.checkout.after_pages_kit import (
    after,
    arrived,
    bought,
    fields,
    later,
    said,
    shop_with_subscriptions,
    subscriptions,
)  # fmt: skip
from tests.integration.checkout.bank_kit import RunningBank
from tests.integration.checkout.owing_kit import works
from tests.integration.checkout.pages_kit import Browser, Hosted, hosted

FORM = "application/x-www-form-urlencoded"
SHOP = "/withdraw/demo?lang=fr"


@pytest.fixture(scope="module")
def pages(bank: RunningBank, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    shop = shop_with_subscriptions()
    with hosted(tmp_path_factory.mktemp("pages"), bank, shop, guesses_max=10_000) as pages:
        subscriptions(pages)
        yield pages


def stray_words(pages: Hosted, known: set[str]) -> Words:
    """What was said in the one statement that is new."""
    (one,) = [one for one in pages.run(pages.desk.strays("demo", limit=100)) if one.id not in known]
    assert isinstance(one, Stray)
    words = pages.run(pages.desk.stray_words("demo", one.id))
    assert words is not None
    return words


def known(pages: Hosted) -> set[str]:
    return {one.id for one in pages.run(pages.desk.strays("demo", limit=100))}


@pytest.mark.parametrize(
    ("name", "reference", "email"),
    [
        ("Zoë 🦊", "la lampe 💡 du salon", "zoe@example.org"),
        ("N" * 300, "x" * 10_000, "zoe@example.org"),
        ("🦊" * 300, "💡" * 5_000, "zoe@example.org"),
        ("محمد", "المصباح الذي طلبته يوم الاثنين", "zoe@example.org"),
        ("Zoé\x00", "la\x00 lampe", "zoe@example.org"),
        ("Zoé", "la lampe", "+33 6 12 34 56 78"),
        ("Zoé", "la lampe", "12 rue des Lilas, 44000 Nantes"),
        ("Zoé", "la lampe", "zoé@"),
    ],
    ids=["emoji", "long", "long emoji", "right to left", "nul", "telephone", "postal", "mistyped"],
)
def test_a_statement_is_taken_whatever_it_looks_like(pages: Hosted, name: str, reference: str, email: str) -> None:
    before, guest = known(pages), Browser(pages)
    guest.go(SHOP)
    answer = guest.send(SHOP, {"nonce": guest.hidden("nonce"), "name": name, "reference": reference, "email": email})
    assert answer.status_code == 200, said(answer.text)
    assert "Votre rétractation est envoyée" in answer.text
    assert len(answer.content) < 100_000
    words = stray_words(pages, before)
    wanted = (name.replace("\x00", ""), reference.replace("\x00", ""), email)
    assert (words.name, words.reference, words.address) == wanted
    pages.run(works(pages.desk))
    assert ("n\u2019est pas une adresse électronique" in answer.text) == (not email.endswith(".org"))


def test_what_is_no_utf8_comes_twice_or_lacks_its_number_is_a_statement_all_the_same(pages: Hosted) -> None:
    for body in (
        b"name=Zo%E9&reference=la+lampe+%FF%FE&email=zoe@example.org",
        b"name=Zo\xe9&reference=la lampe&email=zoe@example.org",
        b"name=Zoe&name=Other&reference=la+lampe&reference=le+vase&email=zoe@example.org&email=x",
        "name=Zoé&reference=la+lampe+💡&email=zoe@example.org".encode(),
    ):
        before, guest = known(pages), Browser(pages)
        guest.go(SHOP)
        own = f"&csrf={guest.token}&nonce={guest.hidden('nonce')}".encode()
        answer = guest.http.post(SHOP, content=body + own, headers={"content-type": FORM})
        assert answer.status_code == 200, body
        assert "lampe" in stray_words(pages, before).reference
    guest = Browser(pages)
    guest.go(SHOP)
    lacking = {"name": "Zoé", "reference": "la lampe", "email": "zoe@example.org"}
    again = guest.send(SHOP, lacking)
    assert again.status_code == 403, "the form was made for its number: it is shown again with all that was typed"
    guest.page = again
    assert guest.send(SHOP, lacking | {"nonce": guest.hidden("nonce")}).status_code == 200


@pytest.mark.parametrize("email", ["", "06 12 34 56 78", "camille@", "3 quai Jean-Bart"])
def test_of_a_known_order_the_acknowledgement_goes_to_its_address_when_none_is_given(pages: Hosted, email: str) -> None:
    owner = Browser(pages)
    order_id = bought(owner)
    owner.go(f"/o/{order_id}/withdraw")
    form = {"nonce": owner.hidden("nonce"), "units.0": "1", "name": "Camille Martin", "email": email}
    answer = owner.submit(f"/o/{order_id}/withdraw", form)
    told = said(answer.text)
    assert "camille@example.org" in told
    assert ("n\u2019est pas une adresse électronique" in told) == bool(email)
    pages.run(works(pages.desk))
    (letter,) = pages.messages("withdrawal.acknowledged", str(order_id))
    assert letter["to"] == "camille@example.org"
    (statement,) = after(pages, order_id).after.statements
    words = pages.run(pages.desk.look(lambda tx: opened_words(tx, "demo", statement.content)))
    assert words is not None
    assert words.address == (email or "camille@example.org"), "what he said is kept as he said it"


def test_of_two_hundred_statements_from_one_network_each_gets_through(bank: RunningBank, tmp_path: Path) -> None:
    with hosted(tmp_path, bank, guesses_max=2) as pages:
        guest = Browser(pages)
        guest.go(SHOP)
        form = {"nonce": guest.hidden("nonce"), "csrf": guest.token, "name": "Zoé", "email": "zoe@example.org"}
        statuses = [guest.send(SHOP, form | {"reference": f"lampe {n}"}).status_code for n in range(6)]
        assert statuses == [200, 200, 429, 429, 429, 429]
        waits = guest.page
        assert int(waits.headers["retry-after"]) <= 300
        assert "lampe 5" in waits.text, "what was typed is kept"
        assert "bonjour@lampes.example" in said(waits.text), "and he is told what counts as much"
        assert guest.hidden("nonce") == form["nonce"]


def test_who_had_to_wait_is_let_in_whoever_else_came_meanwhile() -> None:
    now = [0.0]
    pace = Pace(20, 600.0, lambda: now[0])
    assert [pace.wait_s("net", f"flood {n}") for n in range(20)] == [0] * 20
    mine = pace.wait_s("net", "my statement")
    assert 0 < mine <= 20
    waits = [pace.wait_s("net", f"flood {n}") for n in range(20, 1_000)]
    assert max(waits) == 300, "a flood waits long, and not for ever"
    assert pace.wait_s("other", "theirs") == 0, "nobody waits for another network"
    assert pace.wait_s("net", "flood 3") == 0, "the same again is no other"
    now[0] = mine - 1.0
    assert pace.wait_s("net", "my statement") == 1
    now[0] = mine
    assert pace.wait_s("net", "my statement") == 0
    now[0] = 301.0
    let_in = [n for n in range(20, 1_000) if not pace.wait_s("net", f"flood {n}")]
    assert len(let_in) == 14, "the others of the flood come one by one"
    now[0] = 599.0
    late = pace.wait_s("net", "another")
    assert 0 < late <= 40, "those who may come in are not waited for"


def test_what_this_device_has_opened_need_not_be_said_in_words(pages: Hosted) -> None:
    owner = Browser(pages)
    first, second = bought(owner), bought(owner, "REVUE")
    page = owner.go(SHOP).text
    listed = re.findall(r'<a href="/o/([^"/]+)/withdraw">', page)
    assert listed == [str(second), str(first)]
    assert f"Commande {str(first)[:8].upper()} du" in said(page)
    (contract,) = after(pages, second).contracts
    ways = owner.go("/terminate/demo?lang=fr").text
    assert f'<a href="/o/{second}/terminate/{contract.id}">' in ways
    stranger = Browser(pages).go(SHOP).text
    assert "/o/" not in stranger
    assert fields(stranger) == fields(page)


def test_the_notified_page_names_the_address_that_was_given(pages: Hosted) -> None:
    for given, shown in (
        ({"email": "autre@example.net"}, "autre@example.net"),
        ({"email": "", "postal": "12 rue des Lilas, Nantes"}, "12 rue des Lilas, Nantes"),
        ({"email": "06 12 34 56 78", "postal": ""}, "06 12 34 56 78"),
    ):
        owner = Browser(pages)
        order_id = bought(owner, "REVUE")
        (contract,) = after(pages, order_id).contracts
        url = f"/o/{order_id}/terminate/{contract.id}"
        owner.go(url)
        form = {"nonce": owner.hidden("nonce"), "name": "Camille Martin", "act": "notify"} | given
        told = said(owner.submit(url, form).text)
        assert "Votre résiliation est notifiée" in told
        assert shown in told
        assert "camille@example.org" not in told


def test_a_claim_that_was_gone_back_to_and_corrected_is_never_taken_for_the_first(pages: Hosted) -> None:
    owner = Browser(pages)
    order_id: UUID = bought(owner)
    arrived(pages, order_id)
    url = f"/o/{order_id}/claim"
    owner.go(url)
    form = {"nonce": "n", "line": "1", "fault": "elle clignote", "asked": "repair"}
    assert [owner.send(url, form).status_code for _ in "12"] == [303, 303]
    corrected = owner.send(url, form | {"asked": "replacement"})
    assert corrected.status_code == 422, "one claim on an article at a time: it is said, and not passed over"
    assert len(after(pages, order_id).after.claims) == 1


def test_a_legal_page_leads_to_what_can_be_done(pages: Hosted) -> None:
    guest = Browser(pages)
    for language, labels in (
        ("fr", ["renoncer au contrat ici", "résilier votre contrat", "Retrouver une commande"]),
        ("en", ["withdraw from contract here", "terminate your contract", "Find an order"]),
    ):
        for name in ("withdrawal", "terms", "imprint"):
            page = guest.go(f"/legal/demo/{name}?lang={language}").text
            footer = page[page.index("<footer") :]
            found = re.findall(r'<a href="([^"]+)">([^<]+)</a>', footer)
            assert [text for _, text in found] == labels
            for url, _ in found:
                assert guest.go(str(guest.http.base_url.join(f"/legal/demo/{name}").join(url))).status_code == 200


def test_the_days_of_the_law_are_those_of_the_book(pages: Hosted) -> None:
    book = default_book()
    owner = Browser(pages)
    order_id = bought(owner)
    days = {rule: book.versions(rule)[-1].parameters["days"] for rule in ("B01", "C01")}
    assert f"dans les {days['C01']} jours" in said(owner.go(f"/o/{order_id}/delivery").text)
    told = said(owner.go(f"/o/{order_id}").text)
    assert f"{days['B01']} jours pour changer d\u2019avis" in told


def test_a_link_that_has_had_its_time_leads_to_what_needs_none(pages: Hosted) -> None:
    order_id = bought(Browser(pages))
    for letter, purpose in (("w", "withdrawal"), ("v", "order.view"), ("p", "order.pay")):
        token = pages.run(pages.desk.issue("demo", purpose, str(order_id), timedelta(seconds=-1)))  # type: ignore[arg-type]
        page = Browser(pages).go(f"/{letter}/{token}")
        assert page.status_code == 410
        assert "Ce lien a expiré" in said(page.text)
        assert re.findall(r'class="button[^"]*" href="([^"?]+)', page.text) == ["/find/demo", "/withdraw/demo"]
        assert not any(word in page.text for word in ("camille", "Camille", "Aurore", str(order_id)[:8].upper()))
        assert "Ce lien a expiré" not in Browser(pages).go(f"/{letter}/{token}x").text
        other = {"w": "v", "v": "p", "p": "w"}[letter]
        assert "Ce lien a expiré" not in Browser(pages).go(f"/{other}/{token}").text, "each for its own purpose"


def test_extra_time_that_was_mistyped_locks_nobody_in(bank: RunningBank, tmp_path: Path) -> None:
    with hosted(tmp_path, bank, guesses_max=10_000) as pages:
        owner = Browser(pages)
        order_id = bought(owner)
        url = f"/o/{order_id}/delivery"
        pages.desk.clock = later(40)
        owner.go(url)
        for until in ("9999-12-31", "31/12/9999", "0001-01-01", "12026-01-01"):
            assert owner.send(url, {"act": "notice", "until": until, "nonce": "n"}).status_code == 422, until
        assert owner.send(url, {"act": "", "until": ""}).status_code == 303
        assert owner.send(url, {"act": "resolve", "nonce": "r"}).status_code == 303
        found = after(pages, order_id)
        assert (found.after.late_notices, found.order_view.order.held_at) == ((), None)


def test_a_contract_that_has_ended_says_so_and_asks_for_nothing(pages: Hosted) -> None:
    owner = Browser(pages)
    order_id = bought(owner, "REVUE")
    (contract,) = after(pages, order_id).contracts
    owner.go(f"/o/{order_id}/withdraw")
    owner.send(f"/o/{order_id}/withdraw", {"nonce": "n", "units.0": "1", "name": "C. Martin"})
    pages.run(works(pages.desk))
    page = owner.go(f"/o/{order_id}/terminate/{contract.id}")
    assert page.status_code == 200
    assert "<form" not in page.text
    assert "plus rien à notifier" in said(page.text)


def test_a_claim_is_of_no_more_units_than_there_are(pages: Hosted) -> None:
    for typed, units in (("0", 1), ("-1", 1), ("9" * 900, 2), ("0001" + "1" * 900, 1), ("\u00b2", 1), ("2", 2)):
        owner = Browser(pages)
        order_id = bought(owner, "LL-AURORE", "LL-AURORE")
        arrived(pages, order_id)
        owner.go(f"/o/{order_id}/claim")
        form = {"nonce": "n", "line": "1", "fault": "x", "asked": "repair", "units": typed}
        assert owner.send(f"/o/{order_id}/claim", form).status_code == 303, typed
        assert [one.units for one in after(pages, order_id).after.claims] == [units], typed
