"""The confirmation: every item of L221-5 in the PDF and in both parts of the mail; what is missing refuses."""

import re
from datetime import timedelta
from hashlib import sha256

import pytest

from relance.rules.law.checks import MEANINGS
from relance.rules.law.goods import Digital, Equipment, Line, Subscription
from services.checkout.adapters.documents import Documents, Rendered
from services.checkout.domain import confirmation
from services.checkout.domain.confirmation import ConfirmationFacts, Sheet
from services.checkout.domain.disclosures import shown_legal
from services.checkout.domain.recap import Chosen
from services.checkout.domain.tenders import Tender
from tests.unit.checkout.documents import lumen
from tests.unit.checkout.documents.paper import catalogue, fonts, squeezed, structure, words_of

replace = lumen.replace
ALL = (lumen.LAMP, lumen.SHADE, lumen.GUIDE, lumen.FITTING)


@pytest.fixture(scope="module")
def documents() -> Documents:
    return Documents(lumen.LAW[0])


def rendered(documents: Documents, facts: ConfirmationFacts) -> Rendered:
    found = documents.confirmation(facts)
    assert isinstance(found, Rendered), found
    return found


def sheet(facts: ConfirmationFacts) -> Sheet:
    found = confirmation.compose(facts, lumen.LAW)
    assert isinstance(found, Sheet), found
    return found


def refusals(facts: ConfirmationFacts) -> set[tuple[str, str, str]]:
    found = confirmation.compose(facts, lumen.LAW)
    assert isinstance(found, tuple), "it should be refused"
    return {(one.field, one.rule, one.article) for one in found}


SAID = [
    "Lampe de bureau articulée en acier, 40 cm, ampoule E14 fournie.",  # 1° characteristics
    "208,70 €",  # 2° price
    "au plus tard le 26 novembre 2026",  # 3° delivery
    "Lumen SAS",
    "12 rue des Lampes, 75011 Paris, France",
    "01 23 45 67 89",
    "bonjour@lumen.example",  # 4° trader
    "réponse sous dix jours",  # 4°, R221-2 5° complaints
    "Le consommateur dispose d'un délai de deux ans à compter de la délivrance du bien",  # 5° box D211-2
    "à compter de la fourniture du contenu numérique ou du service numérique",  # 5° box D211-3
    "Tout lecteur PDF ou EPUB",  # 5° compatibility
    "Contrat de garantie commerciale",  # R221-2 7°
    "Médiation du commerce",
    "5 rue du Pont, 75001 Paris",
    "https://mediation.example",  # 6° mediator
    "Vous avez le droit de vous rétracter du présent contrat sans donner de motif",  # 7° withdrawal
    "MODÈLE DE FORMULAIRE DE RÉTRACTATION",  # 7° form
    "https://lumen.example/retractation",  # 7° function
    "Vous devrez prendre en charge les frais directs de renvoi du bien.",  # 8° cost of return
    "vous devez le montant correspondant au service fourni",  # 9° service begun
    "3° De fourniture de biens confectionnés selon les spécifications du consommateur",  # 10° exception
    "vous avez reconnu perdre ainsi votre droit de rétractation, le 23 novembre 2026 à 11:00",  # L221-13 al. 2
    "dix ans, jusqu'au 23 novembre 2036",  # A24 spare parts
    "Il est interdit de démarcher par téléphone",  # E10
    "émettre des réserves",  # A30
    "Nous conservons ce contrat pendant 10 ans",  # G09
    "5f5f5f5f 5f5f5f5f",  # the head of the evidence
    "Ada Łukasiewicz",
]


def test_the_pdf_and_both_parts_of_the_mail_hold_every_item(documents: Documents) -> None:
    found = rendered(documents, lumen.facts(*ALL))
    pdf, html, text = words_of(found.pdf), found.html.decode(), squeezed(found.text)
    plain = squeezed(re.sub(r"<[^>]+>", "", html).replace("&#39;", "'"))
    for said in SAID:
        words = squeezed(said)
        assert words in pdf, said
        assert words in plain, said
        assert words in text, said


def test_the_form_is_filled_with_the_trader_and_the_order(documents: Documents) -> None:
    text = words_of(rendered(documents, lumen.facts(*ALL)).pdf)
    assert (
        squeezed("A l'attention de Lumen SAS, 12 rue des Lampes, 75011 Paris, France, bonjour@lumen.example :") in text
    )
    assert squeezed("ci-dessous : 2 x Lampe Élise, 1 x Pose à domicile") in text
    assert squeezed(f"Commandé le (*)/reçu le (*) : 23/11/2026 (n° {lumen.ORDER_ID})") in text


def test_the_pdf_is_tagged_titled_and_has_all_its_fonts(documents: Documents) -> None:
    pdf = rendered(documents, lumen.facts(*ALL)).pdf
    root = catalogue(pdf)
    assert root["/MarkInfo"]["/Marked"]
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    assert root["/Lang"] == "fr"
    metadata = root["/Metadata"].get_data()
    assert b"pdfuaid" in metadata
    assert b"Confirmation de votre commande" in metadata
    elements = structure(pdf)
    tags = {str(element["/S"]) for element in elements}
    assert {"/H1", "/H2", "/H3", "/P", "/Table", "/TR", "/TH", "/TD", "/L", "/LI", "/Link"} <= tags
    cells = [element for element in elements if element["/S"] == "/TD"]
    assert all(cell["/A"]["/Headers"] for cell in cells)
    assert all(any(name in font for name in ("/FontFile", "/FontFile2", "/FontFile3")) for font in fonts(pdf))


def test_the_same_facts_give_the_same_bytes_also_in_another_press(documents: Documents) -> None:
    facts = lumen.facts(*ALL)
    first = rendered(documents, facts)
    assert rendered(documents, facts) == first
    another = Documents(lumen.LAW[0])
    another.warm()
    assert sha256(rendered(another, facts).pdf).digest() == sha256(first.pdf).digest()
    assert len(first.pdf) < 500_000


def test_both_languages_speak_and_the_law_keeps_its_own(documents: Documents) -> None:
    found = rendered(documents, lumen.facts(*ALL, language="en"))
    text = words_of(found.pdf)
    for said in ("Confirmation of your order", "on 26 November 2026 at the latest", "€208.70", "Consumer mediator"):
        assert squeezed(said) in text
    assert squeezed("Vous avez le droit de vous rétracter du présent contrat") in text
    assert 'lang="fr"' in found.html.decode()
    assert catalogue(found.pdf)["/Lang"] == "en"


@pytest.mark.parametrize(
    ("lines", "variants"),
    [
        ((lumen.LAMP,), ("b",)),
        ((lumen.LAMP, replace(lumen.LAMP, id="9", delivered_separately=True)), ("c",)),
        ((replace(lumen.LAMP, several_lots=True),), ("d",)),
        ((replace(lumen.LAMP, regular=True),), ("e",)),
        ((lumen.FITTING,), ("a",)),
        ((replace(lumen.GUIDE, exception=None, early=None),), ("a",)),
        ((lumen.LAMP, lumen.SHADE, lumen.FITTING), ("b", "a")),
        ((replace(lumen.SHADE, exception=5),), ("b",)),  # unsealing is still to come
        ((replace(lumen.FITTING, exception=1, exception_shown=True),), ("a",)),  # so is full performance
        ((replace(lumen.GUIDE, early=None),), ("a",)),  # nobody asked for it at once
    ],
)
def test_the_notice_has_the_variant_of_the_lines_that_can_be_withdrawn_from(
    lines: tuple[Line, ...], variants: tuple[str, ...]
) -> None:
    notice = sheet(lumen.facts(*lines)).notice
    assert notice is not None
    assert notice.variants == variants


def test_an_order_without_any_right_has_no_notice_and_no_form(documents: Documents) -> None:
    found = rendered(documents, lumen.facts(lumen.SHADE, lumen.GUIDE))
    assert "withdrawal" not in found.items
    assert "MODÈLEDEFORMULAIRE" not in words_of(found.pdf)
    assert squeezed("Sans droit de rétractation") in words_of(found.pdf)


def test_sums_are_those_of_the_recap_also_with_a_discount_and_a_personalised_price(documents: Documents) -> None:
    facts = lumen.facts(lumen.LAMP)
    line = replace(facts.recap.lines[0], net_minor=8982)
    notice = "Ce prix a été personnalisé sur la base d'une prise de décision automatisée."
    recap = replace(
        facts.recap, lines=(line,), coupons=("MERCI10",), discount_minor=998, delivery_minor=0, total_minor=8982,
        personalised_notice=notice,
    )  # fmt: skip
    found = sheet(replace(facts, recap=recap)).sums
    assert found.goods_minor + found.delivery_minor - found.discount_minor == found.total_minor == 8982
    text = squeezed(rendered(documents, replace(facts, recap=recap)).text)
    for said in ("Remise (MERCI10) | \u22129,98 €", "Livraison | sans frais", "Total TTC à payer | 89,82 €", notice):
        assert squeezed(said) in text


def test_an_order_in_a_relay_that_awaits_a_transfer_says_where_and_until_when(documents: Documents) -> None:
    facts = lumen.facts(lumen.LAMP)
    chosen = Chosen(mode="relay", address_hash="a", expected_on=lumen.DAY)
    tender = Tender(means="card", kind="offline", amount_minor=facts.recap.total_minor, state="awaited")
    order = replace(facts.order, tenders=(tender,), awaited_until=lumen.AT)
    facts = replace(
        facts, order=order, record=replace(facts.record, place="r1"), recap=replace(facts.recap, delivery=chosen)
    )
    text = rendered(documents, facts).text
    assert "Tabac du Pont, 3 rue du Pont, 75011 Paris, France" in text
    assert squeezed("en attente de votre règlement") in squeezed(text)
    assert squeezed("jusqu'au 23 novembre 2026 à 11:00") in squeezed(text)


def test_the_law_finds_nothing_missing_in_a_confirmation_once_it_was_sent() -> None:
    made = sheet(lumen.facts(*ALL))
    sent = confirmation.confirmed(made, lumen.AT + timedelta(minutes=1))
    document = confirmation._document(made.facts)
    assert document.order is not None
    lamp = replace(lumen.LAMP, equipment=replace_parts(lumen.LAMP))
    document = replace(document, order=replace(document.order, confirmation=sent), lines=(lamp, *made.facts.lines[1:]))
    rules = lumen.LAW[0].on(lumen.DAY)
    for name in ("A10", "A24", "B11", "C11"):
        assert not list(MEANINGS[name].check(rules[name], document, lumen.AT + timedelta(hours=1))), name
    assert not [one for one in MEANINGS["A30"].check(rules["A30"], document, lumen.AT) if "items" in one.field]


def replace_parts(line: Line) -> Equipment:
    """What the confirmation repeats of spare parts."""
    assert line.equipment is not None
    return replace(line.equipment, spare_parts_on_confirmation=line.equipment.spare_parts)


def test_goods_that_no_post_takes_have_their_cost_of_return() -> None:
    notice = sheet(lumen.facts(replace(lumen.LAMP, post_returnable=False, return_cost_minor=3550))).notice
    assert notice is not None
    said = [part.text for part in notice.parts]
    assert "Vous devrez prendre en charge les frais directs de renvoi du bien, 35,50 EUR." in said
    assert "Vous devrez prendre en charge les frais directs de renvoi du bien." not in said


TRADER, LEGAL = lumen.TRADER, lumen.LEGAL


@pytest.mark.parametrize(
    ("change", "field", "rule", "article"),
    [
        ({"trader": replace(TRADER, phone="")}, "trader.phone", "A27", "R221-2 1°"),
        (
            {"trader": replace(TRADER, mediator=replace(TRADER.mediator, website=""))},
            "trader.mediator.website",
            "G03",
            "L616-1",
        ),
        ({"legal": replace(LEGAL, withdrawal_function_url="")}, "legal.withdrawal_function_url", "B03", "L221-20"),
        ({"legal": replace(LEGAL, withdrawal_days=None)}, "legal.withdrawal_days", "B03", "L221-20"),
        ({"legal": replace(LEGAL, return_cost_borne_by="")}, "legal.return_cost_borne_by", "A01", "L221-5 I"),
    ],
)
def test_a_missing_fact_of_the_shop_refuses_with_its_rule(
    change: dict[str, object], field: str, rule: str, article: str
) -> None:
    assert (field, rule, article) in refusals(lumen.facts(lumen.LAMP, shop=replace(lumen.SHOP, **change)))


@pytest.mark.parametrize(
    ("line", "field", "rule"),
    [
        (replace(lumen.LAMP, characteristics=""), "lines.0.characteristics", "A10"),
        (replace(lumen.LAMP, delivery_on=None), "lines.0.delivery_on", "A10"),
        (replace(lumen.LAMP, legal_guarantee=""), "lines.0.legal_guarantee", "A10"),
        (replace(lumen.SHADE, exception_shown=False), "lines.0.exception_shown", "A10"),
        (
            replace(lumen.LAMP, equipment=Equipment(spare_parts="")),
            "lines.0.equipment.spare_parts",
            "A24",
        ),
        (
            replace(lumen.LAMP, guarantees=(replace(lumen.LAMP.guarantees[0], exclusions=""),)),
            "lines.0.guarantees.0.exclusions",
            "C11",
        ),
        (
            replace(lumen.FITTING, subscription=Subscription(duration="un an")),
            "lines.0.subscription.period_total_minor",
            "A31",
        ),
    ],
)
def test_a_missing_fact_of_a_line_refuses_with_its_rule(line: Line, field: str, rule: str) -> None:
    assert (field, rule) in {one[:2] for one in refusals(lumen.facts(line))}


def test_a_prescribed_text_that_only_counsel_has_refuses_until_he_gives_it() -> None:
    stream = replace(
        lumen.GUIDE,
        digital=Digital(functionality="Film", compatibility="Tout", interoperability="Tout", continuous=True),
    )
    missing = ("legal.counsel_texts.A20.continuous", "A20", "D211-4 annex")
    assert missing in refusals(lumen.facts(stream))
    text = "Texte de l'encadré, un an."
    legal = replace(LEGAL, counsel_texts={"A20.continuous": sha256(text.encode()).hexdigest()})
    shop = replace(lumen.SHOP, legal=legal, texts={"A20.continuous": {"fr": text}})
    assert sheet(lumen.facts(stream, shop=shop)).boxes[0].by_counsel
    other = replace(shop, texts={"A20.continuous": {"fr": text + "!"}})
    assert refusals(lumen.facts(stream, shop=other)) == {("texts.A20.continuous.fr", "A20", "D211-4 annex")}


def test_a_name_cannot_bring_markup_into_the_documents(documents: Documents) -> None:
    line = replace(
        lumen.LAMP, name='<img src="https://evil.example/p.gif">', characteristics="{{ 7 * 7 }} <script>x</script>"
    )
    found = rendered(documents, lumen.facts(line))
    assert b"<img" not in found.html
    assert b"<script" not in found.html
    assert "{{7*7}}" in words_of(found.pdf)


def test_a_screen_reader_is_told_where_the_law_speaks_french(documents: Documents) -> None:
    pdf = rendered(documents, lumen.facts(*ALL, language="en")).pdf
    spoken = [(str(one["/S"]), str(one["/Lang"])) for one in structure(pdf) if "/Lang" in one]
    assert spoken.count(("/Sect", "fr")) >= 4  # notice, form, two boxes, each on one page or more
    assert spoken.count(("/P", "fr")) == 3  # two exceptions, the sentence on calls
    assert spoken.count(("/P", "en")) == 2  # our labels in the notice: which goods a sentence is about
    assert len(spoken) == spoken.count(("/Sect", "fr")) + 5


def test_the_mail_loads_nothing_and_follows_nobody(documents: Documents) -> None:
    html = rendered(documents, lumen.facts(*ALL)).html.decode()
    assert not re.search(r"<(img|script|link|iframe|form|object)\b", html)
    assert not re.search(r"url\(|@import|utm_|track", html)
    assert set(re.findall(r'href="([^"]*)"', html)) == {"https://mediation.example"}


def test_the_terms_that_were_accepted_are_those_of_the_link_and_the_confirmation_prints_their_hash(
    documents: Documents,
) -> None:
    """The law sees a shop with what our pages show for it; the bytes of its terms are the same."""
    facts = lumen.facts(*ALL)
    shown = replace(facts.shop, legal=shown_legal(lumen.SHOP, *lumen.LAW))
    terms = documents.accepted_terms(replace(facts, shop=shown))
    assert terms == documents.terms(lumen.SHOP, "fr", lumen.DAY)
    assert terms is not None
    found = documents.confirmation(facts, terms)
    assert isinstance(found, Rendered)
    assert found.terms == terms
    assert sha256(terms).hexdigest() in found.text
    later = replace(facts.shop, legal=replace(facts.shop.legal, terms_version="2026-12"))
    assert documents.accepted_terms(replace(facts, shop=later)) is None
