"""What the pages are made of: languages, look, sessions, forms, bounds."""

import re
from datetime import date
from gettext import NullTranslations
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from babel.numbers import format_currency
from hypothesis import given
from hypothesis import strategies as st

from services.checkout.api.pages import bounds, forms, themes, wording
from services.checkout.api.pages.alerts import alert_of
from services.checkout.api.pages.facts import Sold, withdrawal_words
from services.checkout.api.pages.ordered import masked_email
from services.checkout.api.pages.sessions import ENTRIES_MAX, Keys, Session
from services.checkout.api.pages.tongues import LANGUAGES, Tongue, load_tongues
from services.checkout.domain.attempts import Category
from services.checkout.domain.outcomes import Refusal

ROOM = Path(forms.__file__).parent
WORDS = {"say": None, "N_": None, "_": None, "ngettext": (1, 2)}


def extracted() -> set[str]:
    """Every message of templates and code; of plural ones the singular."""
    methods = [("**.py", "python"), ("templates/**.html", "jinja2")]
    options = {"templates/**.html": {"trimmed": "true"}}
    found = extract_from_dir(ROOM, methods, options, WORDS)
    return {message[0] if isinstance(message, tuple) else message for _, _, message, _, _ in found}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_catalogue_has_every_message_and_none_too_many(language: str) -> None:
    with (ROOM / "locale" / language / "LC_MESSAGES" / "pages.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    has = {message.id[0] if isinstance(message.id, tuple) else message.id for message in catalogue if message.id}
    assert has == extracted()
    assert not [message.id for message in catalogue if message.id and (message.fuzzy or not message.string)]
    for message in catalogue:
        if message.id:
            assert not list(message.check(catalogue)), message.id


def test_templates_call_no_filter_that_lets_markup_through() -> None:
    for path in (ROOM / "templates").iterdir():
        assert not re.search(r"\|\s*safe\b|autoescape false|\bstyle=\"|\bon[a-z]+=\"", path.read_text()), path.name


def test_french_money_is_written_as_babel_writes_it() -> None:
    tongues = load_tongues()
    for minor in (0, 5, 100, 129_00, 1_234_56, 123_456_789):
        expected = format_currency(minor / 100, "EUR", locale="fr_FR")
        assert tongues["fr"].money(minor) == expected
        assert tongues["en"].money(minor) == format_currency(minor / 100, "EUR", locale="en_GB")
    assert tongues["en"].money(-5) == "\u2212€0.05"


def test_days_have_their_weekday() -> None:
    tongues = load_tongues()
    assert tongues["fr"].day(date(2026, 12, 1)) == "mardi 1er décembre"
    assert tongues["en"].day(date(2026, 11, 24)) == "Tuesday 24 November"


@given(st.integers(0, 0xFFFFFF))
def test_no_accent_makes_words_hard_to_read(colour: int) -> None:
    style = themes.style_of({"--accent": f"#{colour:06x}"})
    found = dict(re.findall(r"--([a-z-]+):(#[0-9a-f]+)", style))

    def channels(text: str) -> tuple[int, int, int]:
        digits = text[1:] if len(text) == 7 else "".join(one * 2 for one in text[1:])
        return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)

    assert themes.contrast(channels(found["accent"]), channels(found["on-accent"])) >= 4.5
    for ground in ((255, 255, 255), (0xF3, 0xF6, 0xF4)):
        assert themes.contrast(channels(found["link"]), ground) >= 4.5


@given(st.dictionaries(st.sampled_from(["accent", "--page", "radius", "font", "other"]), st.text(max_size=40)))
def test_a_theme_holds_nothing_but_values(theme: dict[str, str]) -> None:
    style = themes.style_of(theme)
    assert not re.search(r"[<>\\@]|url|/\*|\}.", style)


SECRET = "k" * 40


def keys(*secrets: str) -> Keys:
    numbers = iter(range(1_000))
    return Keys(secrets or (SECRET,), lambda: f"secret-{next(numbers)}")


def test_a_cookie_is_read_back_and_ages() -> None:
    made = keys()
    session = Session().having(made.entry("checkout", "demo", "1", "open", 1_000))
    value = made.write(session)
    assert made.read(value, 1_000) == session
    assert made.read(value, 1_000 + 15 * 86_400) == Session()
    assert made.read(value, 999) == Session()
    assert keys("o" * 40, SECRET).read(value, 1_000) == session
    assert keys("o" * 40).read(value, 1_000) == Session()


@given(st.text(max_size=60))
def test_no_other_text_is_a_cookie(value: str) -> None:
    assert keys().read(value, 1_000) == Session()


def test_a_session_is_bounded_and_its_newest_come_first() -> None:
    made, session = keys(), Session()
    for number in range(ENTRIES_MAX + 3):
        session = session.having(made.entry("checkout", "demo", str(number), "open", number))
    assert len(session.entries) == ENTRIES_MAX
    newest = session.newest("demo")
    assert newest is not None
    assert newest.id == str(ENTRIES_MAX + 2)
    assert len(made.write(session)) < 3_800


def test_what_may_be_seen_is_never_lowered_by_a_link() -> None:
    made = keys()
    full = made.entry("order", "demo", "1", "full", 1)
    session, entry = made.keep(Session((full,)), full, made.entry("order", "demo", "1", "masked", 2))
    assert entry == full
    assert session.entries == (full,)


def test_short_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="32"):
        Keys(("short",), lambda: "x")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("a@gmial.com", "a@gmail.com"), ("a@gmail.con", "a@gmail.com"), ("a@gmai.com", "a@gmail.com"),
        ("a@gmail.com", ""),
        ("a@orange.fr", ""), ("a@ornage.fr", "a@orange.fr"), ("a@example.org", ""), ("a@gmail.comm", "a@gmail.com"),
        ("no-at", ""),
    ],
)  # fmt: skip
def test_a_domain_one_letter_off_is_asked_about(typed: str, meant: str) -> None:
    assert forms.mistyped(typed) == meant


def test_somebody_who_guesses_waits_and_others_do_not() -> None:
    now = [0.0]
    guesses = bounds.Guesses(2, 60, lambda: now[0], keys_max=3)
    for _ in range(2):
        assert guesses.wait_s("a") == 0
        guesses.wrong("a")
    assert guesses.wait_s("a") == 61
    assert guesses.wait_s("b") == 0
    now[0] = 60.0
    assert guesses.wait_s("a") == 0
    for name in "bcd":
        guesses.wrong(name)
    assert len(guesses._wrong) == 3


def test_fifty_clicks_on_one_button_are_one_and_are_answered() -> None:
    now = [0.0]
    guesses = bounds.Guesses(2, 60, lambda: now[0])
    for _ in range(50):
        assert guesses.wait_s("a", "one") == 0
        guesses.wrong("a", "one")
    guesses.wrong("a", "two")
    assert (guesses.wait_s("a", "one"), guesses.wait_s("a", "two")) == (0, 0)
    assert (guesses.wait_s("a", "three"), guesses.wait_s("a"), guesses.wait_s("b", "three")) == (61, 61, 0)
    now[0] = 60.0
    guesses.wrong("a", "three")
    guesses.wrong("a", "one")
    assert guesses.wait_s("a", "two") == 61


@given(st.lists(st.sampled_from(["", "one", "two", "three", "four"]), max_size=12), st.integers(1, 4))
def test_as_many_other_things_as_allowed_are_looked_at(tries: list[str], most: int) -> None:
    """What is looked at before somebody waits: each thing once, and what has no name each time."""
    guesses = bounds.Guesses(most, 60, lambda: 0.0)
    counted: list[str] = []
    for what in tries:
        again = bool(what) and what in counted
        assert (guesses.wait_s("a", what) == 0) == (again or len(counted) < most)
        if guesses.wait_s("a", what) == 0:
            guesses.wrong("a", what)
            counted += [] if again else [what]


@given(st.text())
def test_a_field_is_one_line(text: str) -> None:
    value = bounds.Form([("name", text)]).text("name")
    assert len(value) <= 1_000
    assert not re.search(r"[\x00-\x1f\x7f\u202e]", value)


def test_an_address_is_masked_but_known_to_its_owner() -> None:
    assert masked_email("camille.martin@example.org") == "c•••@e•••.org"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_failure_has_words_and_a_way_on(language: str) -> None:
    tongue = load_tongues()[language]
    said = {wording.failure(tongue, category) for category in Category.__args__}  # type: ignore[attr-defined]
    assert len(said) == len(Category.__args__)  # type: ignore[attr-defined]
    assert all(one.what and one.next and one.sure for one in said)


def test_a_message_that_no_catalogue_has_is_said_in_english() -> None:
    assert Tongue("fr", NullTranslations()).say("as it is") == "as it is"


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal("legal.terms_version", "the terms have no version", "A09", "Code civil, 1127-1"),
        Refusal("recap.button.text", "the button text 'Go' is unknown", "A04", "L221-14 al. 2"),
        Refusal("lines.1.scope", "Lampe: gambling follows other rules", "A32", "L221-2"),
        Refusal("lines.1.characteristics", "the information on characteristics is missing", "A01", "L221-5 I"),
        Refusal("payment.purses.0", "nothing is left on it"),
        Refusal("attempt", "3 attempts were made: ask the shop for help"),
        Refusal("order.state", "the order is lapsed: there is nothing to pay"),
        Refusal("checkout.state", "this checkout is expired"),
    ],
    ids=lambda refusal: refusal.field,
)  # fmt: skip
def test_no_reason_of_the_engine_stands_on_a_page(refusal: Refusal) -> None:
    """Whoever reads French reads no English: reasons are for shops and logs, pages have words of their own."""
    tongues = load_tongues()
    for names in ({"1": "Lampe"}, {}):
        said = {language: wording.problem(tongues[language], refusal, {}, names) for language in LANGUAGES}
        assert refusal.reason not in said["fr"].text
        assert said["fr"].text != said["en"].text
        assert "vide" not in said["fr"].text
        assert said["fr"].law == (f"{refusal.rule}, {refusal.article}" if refusal.rule else "")


def test_words_of_a_refusal_are_those_of_its_reason() -> None:
    french = load_tongues()["fr"]
    assert "ne reste rien" in wording.known(french, Refusal("payment.purses.0", "nothing is left on it"))
    assert "vérifiez le numéro" in wording.known(
        french, Refusal("payment.purses.0", "there is no such card or voucher")
    )
    assert "plus valable" in wording.known(french, Refusal("coupons.0", "X has ended", "D07", "L121-4 7°"))
    assert "pas valable" in wording.known(french, Refusal("coupons.0", "something else"))
    assert "50,00" in wording.known(french, Refusal("coupons.1", "X holds from goods of 5000 cents"))
    assert wording.known(french, Refusal("legal.terms_version", "the terms have no version", "A09")) == ""


@pytest.mark.parametrize(
    ("sold", "has", "lacks"),
    [
        ([Sold("goods")], "le dernier article", "jour de la commande"),
        ([Sold("digital")], "jour de la commande", "le dernier article"),
        ([Sold("digital", 13)], "jour de la commande", "pas de droit"),
        ([Sold("digital", 13, lost=True)], "pas de droit de rétractation", "14 jours"),
        ([Sold("goods", 3)], "pas de droit de rétractation", "14 jours"),
        ([Sold("goods", 5)], "14 jours", "pas de droit"),
        ([Sold("service", 1), Sold("goods", 3)], "jour de la commande", "le dernier article"),
        ([Sold("goods"), Sold("goods", 3)], "Tous les articles n\u2019ont pas", "jour de la commande"),
    ],
)
def test_the_right_of_withdrawal_is_said_as_it_is_of_what_is_sold(sold: list[Sold], has: str, lacks: str) -> None:
    said = " ".join(withdrawal_words(sold, load_tongues()["fr"]))
    assert has in said
    assert lacks not in said


def test_an_alert_says_what_happened_and_nothing_else() -> None:
    french = load_tongues()["fr"]
    said = {
        kind: alert_of(kind, french)["title"]
        for kind in (
            "order.confirmation.bounced", "confirmation.refused", "payment.refunded", "refund.failed", "refund.by_hand",
            "withdrawal.requested", "payment.look", "order.link.bounced", "payment.failed.dead", "code.failed",
        )
    }  # fmt: skip
    assert "pas pu être remise par e-mail" in said["order.confirmation.bounced"]
    assert "du retard" in said["confirmation.refused"]
    assert "trop tard" in said["payment.refunded"]
    assert said["order.link.bounced"] == said["payment.failed.dead"] == said["code.failed"]
    assert len(set(said.values())) == 8
