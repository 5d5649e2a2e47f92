"""The pages of what follows an order, as a browser without JavaScript has them: who states what, what is recorded."""

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from relance.rules.law.book import default_book
from services.checkout.api.pages.labels import Control, label_of
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

PERSONAL = ("camille@example.org", "Camille", "Martin", "12 rue des Lilas", "6 12 34")
GIVEN = {"name": "Camille Martin", "email": "camille@example.org"}


@pytest.fixture(scope="module")
def pages(bank: RunningBank, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    shop = shop_with_subscriptions()
    with hosted(tmp_path_factory.mktemp("pages"), bank, shop, guesses_max=10_000) as pages:
        subscriptions(pages)
        yield pages


@pytest.fixture
def browser(pages: Hosted) -> Browser:
    return Browser(pages)


def link(pages: Hosted, order_id: UUID, purpose: str = "withdrawal") -> str:
    token = pages.run(pages.desk.issue("demo", purpose, str(order_id)))  # type: ignore[arg-type]
    return f"/{'w' if purpose == 'withdrawal' else 'v'}/{token}"


def statements(pages: Hosted, order_id: UUID) -> list[dict[str, int]]:
    return [one.units for one in after(pages, order_id).after.statements]


@pytest.mark.parametrize(
    ("control", "rule", "wording"),
    [("withdraw", "B05", "entry"), ("confirm", "B07", "confirm"), ("terminate", "B20", "terminate"),
     ("notify", "B22", "notify")],
)  # fmt: skip
def test_controls_are_called_as_the_law_names_them(control: Control, rule: str, wording: str) -> None:
    given = default_book().versions(rule)[-1]
    text, language = label_of(control, "fr")
    assert language == "fr"
    assert sha256(text.encode()).hexdigest() == given.wordings[wording].sha256
    assert list(label_of(control, "en")) == [given.parameters["labels"][1], "en"]


def test_a_link_leads_to_three_questions_and_one_control_and_shows_nobody(pages: Hosted, browser: Browser) -> None:
    order_id = bought(browser, "LL-AURORE", "LL-AURORE", "LIVRE-LUMIERE")
    guest = Browser(pages)
    page = guest.go(link(pages, order_id)).text
    assert fields(page) == {"csrf", "nonce", "units.0", "units.1", "name", "email"}
    assert not any(word in page for word in PERSONAL)
    assert re.findall(r"<button[^>]*>(.*?)</button>", page) == ["confirmer la rétractation"]
    assert statements(pages, order_id) == [], "looking at it states nothing"


def test_a_part_is_withdrawn_once_however_often_the_form_is_sent(pages: Hosted, browser: Browser) -> None:
    order_id = bought(browser, "LL-AURORE", "LL-AURORE", "LIVRE-LUMIERE")
    guest, url = Browser(pages), link(pages, order_id)
    guest.go(url)
    form = {"nonce": guest.hidden("nonce"), "units.0": "1", "name": "Camille Martin", "email": "other@example.org"}
    form["csrf"] = guest.token
    first, again = guest.send(url, form), guest.send(url, form)
    assert (first.status_code, first.headers["location"]) == (303, again.headers["location"])
    assert len(statements(pages, order_id)) == 1
    assert statements(pages, order_id) == [{"1": 1}]
    told = said(guest.go(first.headers["location"]).text)
    assert "Lampe Aurore" in told
    assert re.search(r"\d{4} à \d\d:\d\d:\d\d \(heure de Paris, UTC\+0[12]:00\)", told)
    assert "o•••@e•••.org" in told
    assert "Camille" not in told
    pages.run(works(pages.desk))
    (letter,) = pages.messages("withdrawal.acknowledged", str(order_id))
    assert letter["to"] == "other@example.org"
    (noticed,) = pages.messages("withdrawal.noticed", str(order_id))
    assert noticed["to"] == "camille@example.org"


def test_a_form_that_was_gone_back_to_and_corrected_is_on_record_as_it_is_shown(
    pages: Hosted, browser: Browser
) -> None:  # fmt: skip
    order_id = bought(browser, "LL-AURORE", "LIVRE-LUMIERE")
    guest, url = Browser(pages), link(pages, order_id)
    guest.go(url)
    form = {"nonce": guest.hidden("nonce"), "units.0": "1", "units.1": "0", "name": "Camille Martin"}
    guest.send(url, form | {"email": "camile@example.org"})
    corrected = guest.send(url, form | {"email": "camille@example.org"})
    assert corrected.status_code == 303
    assert statements(pages, order_id) == [{"1": 1}, {"1": 0}], "nothing is withdrawn twice"
    assert "Lampe Aurore" in said(guest.go(corrected.headers["location"]).text)
    pages.run(works(pages.desk))
    answered = {one["to"] for one in pages.messages("withdrawal.acknowledged", str(order_id))}
    assert answered == {"camile@example.org", "camille@example.org"}


def test_without_another_address_the_acknowledgement_goes_to_that_of_the_order(
    pages: Hosted, browser: Browser
) -> None:  # fmt: skip
    order_id = bought(browser)
    guest, url = Browser(pages), link(pages, order_id)
    guest.go(url)
    assert guest.submit(url, {"nonce": "n", "units.0": "1", "name": "C. Martin"}).status_code == 200
    pages.run(works(pages.desk))
    assert [one["to"] for one in pages.messages("withdrawal.acknowledged", str(order_id))] == ["camille@example.org"]
    assert not pages.messages("withdrawal.noticed", str(order_id))


def test_only_who_withdraws_and_from_what_is_asked_again_and_what_was_typed_stays(
    pages: Hosted, browser: Browser
) -> None:  # fmt: skip
    order_id = bought(browser, "LL-AURORE", "LL-AURORE")
    guest, url = Browser(pages), link(pages, order_id)
    guest.go(url)
    answer = guest.send(url, {"nonce": "n1", "units.0": "none", "name": "", "email": "not an address"})
    assert answer.status_code == 422
    assert "2 points à corriger" in answer.text
    assert 'value="not an address"' in answer.text
    assert 'name="nonce" value="n1"' in answer.text
    forged = guest.send(url, {"csrf": "x", "nonce": "n1", "units.0": "1"} | GIVEN)
    assert forged.status_code == 403
    elsewhere = guest.send(url, {"nonce": "n1", "units.0": "1"} | GIVEN, sec_fetch_site="cross-site")
    assert elsewhere.status_code == 403
    assert statements(pages, order_id) == []
    assert guest.send(url, {"nonce": "n1", "units.0": "9" * 12} | GIVEN).status_code == 303
    assert statements(pages, order_id) == [{"1": 2}], "cut to what is left"


def test_a_link_opens_its_own_order_for_its_own_purpose_and_a_session_only_its_orders(
    pages: Hosted, browser: Browser
) -> None:  # fmt: skip
    order_id, other = bought(browser), bought(Browser(pages))
    guest = Browser(pages)
    withdraw, view = link(pages, order_id), link(pages, order_id, "order.view")
    assert guest.go(f"{view}/withdraw").status_code == 200
    assert guest.go(withdraw.replace("/w/", "/v/") + "/withdraw").status_code == 410
    assert guest.go(view.replace("/v/", "/w/")).status_code == 410
    assert guest.go(f"/o/{order_id}/withdraw").status_code == 404
    assert browser.go(f"/o/{other}/withdraw").status_code == 404
    assert browser.go(f"/o/{order_id}/withdraw").status_code == 200
    stated = browser.send(f"/o/{order_id}/withdraw", {"nonce": "n", "units.0": "1"} | GIVEN)
    statement = stated.headers["location"].rpartition("/")[2]
    assert guest.go(f"{view}/withdraw/{statement}").status_code == 200
    assert guest.go(f"{link(pages, other)}/withdraw/{statement}").status_code == 404
    assert guest.go(f"{view}/withdraw/{uuid4()}").status_code == 404


def test_a_session_shows_name_and_address_to_be_confirmed(browser: Browser) -> None:
    order_id = bought(browser)
    page = browser.go(f"/o/{order_id}/withdraw").text
    assert 'value="Camille Martin"' in page
    assert 'value="camille@example.org"' in page


def test_the_page_of_the_shop_answers_the_same_whether_or_not_it_finds_an_order(
    pages: Hosted, browser: Browser
) -> None:  # fmt: skip
    order_id = bought(browser)
    number = str(order_id)[:8]
    before = len(pages.run(pages.desk.strays("demo", limit=100)))
    answers = []
    for reference, email in ((number, "camille@example.org"), ("00000000", "camille@example.org"), (number, "x@y.fr")):
        guest = Browser(pages)
        guest.go("/withdraw/demo?lang=fr")
        form = {"nonce": guest.hidden("nonce"), "name": "Camille", "reference": reference, "email": email}
        answer = guest.send("/withdraw/demo?lang=fr", form)
        assert answer.status_code == 200
        plain = answer.text.replace(reference, "R").replace(email, "E")
        answers.append(re.sub(r"\d\d:\d\d:\d\d", "T", plain))
    assert len(set(answers)) == 1
    pages.run(works(pages.desk))
    assert statements(pages, order_id) == [{"1": 1}]
    assert len(pages.run(pages.desk.strays("demo", limit=100))) == before + 2
    assert len(pages.messages("withdrawal.noticed", str(order_id))) == 1


def test_what_names_a_part_in_words_is_left_to_the_shop(pages: Hosted, browser: Browser) -> None:
    order_id = bought(browser, "LL-AURORE", "LIVRE-LUMIERE")
    guest = Browser(pages)
    guest.go("/withdraw/demo?lang=fr")
    reference = f"{str(order_id)[:8].upper()}, seulement le livre"
    form = {"nonce": guest.hidden("nonce"), "name": "C", "reference": reference, "email": "camille@example.org"}
    assert guest.send("/withdraw/demo", form).status_code == 200
    pages.run(works(pages.desk))
    assert statements(pages, order_id) == []
    assert str(order_id) in [one.candidate for one in pages.run(pages.desk.strays("demo", limit=100))]


def test_the_page_of_the_shop_asks_who_and_what_and_takes_any_words(pages: Hosted) -> None:
    guest = Browser(pages)
    page = guest.go("/withdraw/demo?lang=en").text
    assert fields(page) == {"csrf", "nonce", "name", "reference", "articles", "email"}
    assert re.findall(r"<button[^>]*>(.*?)</button>", page) == ["confirm withdrawal"]
    empty = guest.send("/withdraw/demo?lang=en", {"nonce": guest.hidden("nonce")})
    assert (empty.status_code, "3 things need your attention" in empty.text) == (422, True)
    words = {"nonce": "n", "name": "<b>Zoë</b>", "reference": "the\nlamp http://evil.example", "email": "z@example.org"}
    assert guest.send("/withdraw/demo?lang=en", words).status_code == 403, "the form was made for another nonce"
    guest.go("/withdraw/demo?lang=en")
    answer = guest.send("/withdraw/demo?lang=en", words | {"nonce": guest.hidden("nonce")})
    assert "&lt;b&gt;Zoë&lt;/b&gt;" in answer.text
    assert "the lamp http://evil.example" in answer.text
    assert 'href="http://evil.example' not in answer.text
    assert guest.go("/withdraw/nobody").status_code == 404


def test_the_order_says_what_was_stated_and_what_is_owed_until_when(pages: Hosted, browser: Browser) -> None:
    order_id = bought(browser, "LL-AURORE", "LIVRE-LUMIERE")
    assert f'href="/o/{order_id}/withdraw"' in browser.go(f"/o/{order_id}").text
    browser.go(f"/o/{order_id}/withdraw")
    browser.send(f"/o/{order_id}/withdraw", {"nonce": "n", "units.1": "1"} | GIVEN)
    told = said(browser.go(f"/o/{order_id}").text)
    assert "rétractation prise en compte (L221-18)" in told
    assert "22,00 € vous sont remboursés au plus tard le" in told
    assert "14 jours à compter de votre déclaration" in told
    assert "intérêts au taux légal" in told
    assert "renoncer au contrat ici" in told


def test_an_order_is_found_again_with_the_same_words_for_all(pages: Hosted, browser: Browser) -> None:
    order_id = bought(browser)
    guest = Browser(pages)
    words = []
    for number, email in ((str(order_id)[:8].upper(), "camille@example.org"), (str(order_id), "CAMILLE@example.org"),
                          (str(order_id)[:8], "x@example.org"), ("00000000", "camille@example.org")):  # fmt: skip
        guest.go("/find/demo?lang=fr")
        words.append(said(guest.send("/find/demo?lang=fr", {"number": number, "email": email}).text))
    assert len(set(words)) == 1
    assert len(pages.messages("order.link", str(order_id))) == 2
    assert guest.send("/find/demo?lang=fr", {"number": "rien", "email": ""}).status_code == 422
    assert guest.send("/find/demo", {"csrf": "x", "number": "0" * 8, "email": "a@b.fr"}).status_code == 403


def test_a_contract_is_ended_in_three_steps(pages: Hosted, browser: Browser) -> None:
    order_id = bought(browser, "REVUE")
    (contract,) = after(pages, order_id).contracts
    page = browser.go(f"/o/{order_id}").text
    url = f"/o/{order_id}/terminate/{contract.id}"
    assert f'href="{url}" lang="fr">résilier votre contrat' in page
    first = browser.go(url).text
    assert fields(first) == {"csrf", "nonce", "name", "email", "postal", "wished_on", "reason"}
    form = {"nonce": browser.hidden("nonce"), "wished_on": ""} | GIVEN
    assert browser.send(url, form | {"name": "", "act": "check"}).status_code == 422
    assert browser.send(url, form | {"wished_on": "2020-01-01", "act": "check"}).status_code == 422
    recap = browser.send(url, form | {"act": "check"})
    assert re.findall(r"<button[^>]*>(.*?)</button>", recap.text) == ["notification de la résiliation", "Modifier"]
    assert 'value="Camille Martin"' in browser.send(url, form | {"act": "change"}).text
    assert after(pages, order_id).contracts[0].termination is None
    for _ in range(2):
        assert browser.send(url, form | {"act": "notify"}).status_code == 303
    told = said(browser.go(url).text)
    assert "Votre résiliation est notifiée" in told
    assert "heure de Paris" in told
    assert len(pages.messages("termination.confirmed", str(order_id))) == 1
    assert "prend fin le" in said(browser.go(f"/o/{order_id}").text)
    assert Browser(pages).go(url).status_code == 404


def test_a_contract_is_ended_without_account_by_its_number(pages: Hosted, browser: Browser) -> None:
    order_id = bought(browser, "REVUE")
    (contract,) = after(pages, order_id).contracts
    answers = []
    for reference, email in ((contract.number, "x@example.org"), (contract.number, "camille@example.org")):
        guest = Browser(pages)
        guest.go("/terminate/demo?lang=fr")
        form = {"nonce": guest.hidden("nonce"), "name": "C", "reference": reference, "email": email, "act": "notify"}
        answer = guest.send("/terminate/demo?lang=fr", form)
        answers.append(re.sub(r"\d\d:\d\d:\d\d", "T", answer.text.replace(email, "E")))
        assert after(pages, order_id).contracts[0].termination is None, "the answer takes the same time for both"
        pages.run(works(pages.desk))
        ended = after(pages, order_id).contracts[0].termination is not None
        assert ended == (email == "camille@example.org")
    assert len(set(answers)) == 1
    letter = Browser(pages).go(f"/terminate/demo?lang=fr&contract={contract.number}").text
    assert f'value="{contract.number}"' in letter
    assert "zz-zz" not in Browser(pages).go("/terminate/demo?lang=fr&contract=zz-zz").text


def test_a_link_to_end_a_contract_leads_somewhere_though_little_may_be_seen(pages: Hosted, browser: Browser) -> None:
    order_id = bought(browser, "REVUE")
    guest, url = Browser(pages), link(pages, order_id, "order.view")
    guest.go(url)
    guest.send(f"{url}/pay", {})
    page = guest.go(f"/o/{order_id}")
    assert page.status_code == 200
    (way,) = re.findall(r'href="([^"]*)" lang="fr">résilier votre contrat', page.text)
    assert way == "/terminate/demo"
    assert guest.go(way).status_code == 200


def test_a_claim_is_made_by_whom_the_order_is_shown_in_full(pages: Hosted, browser: Browser) -> None:
    order_id = bought(browser)
    url = f"/o/{order_id}/claim"
    assert "rien à demander" in said(browser.go(url).text)
    arrived(pages, order_id)
    browser.go(url)
    assert browser.send(url, {"nonce": "n"}).status_code == 422
    form = {"nonce": "n", "line": "1", "fault": "elle clignote", "asked": "repair"}
    for _ in range(2):
        assert browser.send(url, form).status_code == 303
    (claim,) = after(pages, order_id).after.claims
    assert (claim.asked, claim.units) == ("repair", 1)
    assert "reçue, réponse à venir" in said(browser.go(url).text)
    assert Browser(pages).go(url).status_code == 404


def test_every_page_is_guarded_and_light(pages: Hosted, browser: Browser) -> None:
    order_id = bought(browser, "LL-AURORE", "REVUE")
    (contract,) = after(pages, order_id).contracts
    here = f"/o/{order_id}"
    paths = [here, f"{here}/withdraw", f"{here}/delivery", f"{here}/claim", f"{here}/terminate/{contract.id}",
             link(pages, order_id), "/withdraw/demo", "/terminate/demo", "/find/demo"]  # fmt: skip
    for path in paths:
        answer = browser.go(path)
        assert answer.status_code == 200, path
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert len(answer.content) < 100_000
        links = re.findall(r'href="(/(?:withdraw|terminate|find)/demo\?lang=fr)"', answer.text)
        assert [one.split("/")[1] for one in links] == ["withdraw", "terminate", "find"], path


def test_who_waits_too_long_has_his_three_rights(bank: RunningBank, tmp_path: Path) -> None:
    with hosted(tmp_path, bank, guesses_max=10_000) as pages:
        browser = Browser(pages)
        order_id = bought(browser)
        url = f"/o/{order_id}/delivery"
        assert "Mettre fin au contrat" not in browser.go(url).text
        pages.desk.clock = later(40)
        assert "La livraison est en retard" in said(browser.go(url).text)
        assert browser.send(url, {"act": "notice", "until": "demain"}).status_code == 422
        assert browser.send(url, {"act": "resolve"}).status_code == 303
        assert "délai supplémentaire" in said(browser.go(url).text)
        click = {"act": "notice", "until": "", "nonce": browser.hidden("nonce")}
        assert [browser.send(url, click).status_code for _ in "12"] == [303, 303]
        assert len(after(pages, order_id).after.late_notices) == 1, "a click that comes twice is one"
        pages.desk.clock = later(60)
        assert "14 jours" in said(browser.go(url).text)
        assert browser.send(url, {"act": "resolve"}).status_code == 303
        assert "Contrat terminé le" in said(browser.go(url).text)
        assert after(pages, order_id).after.resolutions[-1].resolved
        assert browser.send(url, {"csrf": "x", "act": "resolve"}).status_code == 403


def test_the_page_of_the_shop_keeps_a_correction_beside_what_was_said_first(pages: Hosted) -> None:
    before = len(pages.run(pages.desk.strays("demo", limit=100)))
    for path, more in (("/withdraw/demo", {}), ("/terminate/demo", {"act": "notify"})):
        guest = Browser(pages)
        guest.go(f"{path}?lang=fr")
        form = {"nonce": guest.hidden("nonce"), "name": "Zoé", "email": "zoe@example.org", "csrf": guest.token} | more
        for reference in ("la lampe", "la lampe", "la lampe de mardi"):
            answer = guest.send(f"{path}?lang=fr", form | {"reference": reference})
            assert (answer.status_code, reference in answer.text) == (200, True)
        before += 2
        assert len(pages.run(pages.desk.strays("demo", limit=100))) == before
