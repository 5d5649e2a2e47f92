"""What messages are made of, and what none may hold."""

import html
import re
import time
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relance.events.messages import Kind
from relance.kernel.errors import InputError
from services.notification.adapters.mail import build
from services.notification.adapters.mail.registry import load_kinds
from services.notification.adapters.mail.rendering import LANGUAGES, Templates
from services.notification.domain.addresses import parse_address, return_path
from services.notification.domain.composing import Attachment, Letter, compose
from services.notification.domain.failures import without_addresses
from services.notification.domain.linting import lint_structure, lint_wording
from services.notification.domain.reports import failure_of, read_report
from services.notification.domain.senders import read_senders
from tests.integration.notification.mail_kit import SECRET, dsn, make_request, sender_document

SENDER = read_senders(sender_document())["demo"]
TEMPLATES = Templates()
REQUEST = make_request()
PATH = return_path(SECRET.encode(), REQUEST.id, "bounce.demo.example")


def letter(**other: Any) -> Letter:
    given_: dict[str, Any] = {
        "sender": SENDER, "to": parse_address("camille@example.com"), "subject": "Votre commande n° 1",
        "message_id": "<x@demo.example>", "dated": REQUEST.requested_at, "locale": "fr", "html": "<p>é</p>",
        "text": ".\r\n.é\n" + "x" * 2_000, "attachments": (Attachment("a.pdf", "application/pdf", b"\x00\xff" * 500),),
    }  # fmt: skip
    return Letter(**(given_ | other))


def test_what_is_compiled_is_what_the_sources_say() -> None:
    assert build.differences() == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", sorted(load_kinds()))
def test_every_template_is_filled_in_both_languages_and_sells_and_tracks_nothing(kind: Kind, language: str) -> None:
    request = msgspec.structs.replace(make_request(kind), locale=language)
    rendered = TEMPLATES.render(request, SENDER)
    assert lint_structure(rendered.html, SENDER.link_hosts) == []
    assert lint_wording(rendered.text) == []
    assert "{{" not in rendered.html + rendered.text
    assert f'lang="{language}"' in rendered.html
    assert len(rendered.html) < 100_000


@pytest.mark.parametrize("category", ["authentication", "insufficient_funds", "fraud", "abandoned_at_bank", "news"])
def test_a_failed_payment_says_what_to_do_next_in_words_for_its_category(category: str) -> None:
    rendered = TEMPLATES.render(make_request(category=category, until="2026-11-23T10:00:00Z"), SENDER)
    assert "23 novembre 2026 à 11:00" in rendered.text  # Paris time
    assert "https://demo.example/p/token" in rendered.text
    assert category not in rendered.text


@pytest.mark.parametrize(
    ("language", "nothing"), [("fr", "Rien n'a été changé"), ("en", "Nothing about your order was")]
)
def test_a_withdrawal_that_counts_is_not_told_as_one_that_changed_nothing(language: str, nothing: str) -> None:
    known = {"order_number": "1", "link": "https://demo.example/p/token"}
    asked = msgspec.structs.replace(make_request("withdrawal.noticed"), locale=language, facts=known)
    assert nothing in TEMPLATES.render(asked, SENDER).text
    done = msgspec.structs.replace(asked, facts=known | {"recorded_at": "2026-11-22T10:00:00Z"})
    assert nothing not in TEMPLATES.render(done, SENDER).text
    assert "11:00" in TEMPLATES.render(done, SENDER).text, "in Paris"


def test_what_a_shopper_wrote_is_text_and_not_markup_nor_a_template() -> None:
    rendered = TEMPLATES.render(make_request(order_number='<img src="//x/p">{{ 7 * 7 }}'), SENDER)
    assert "<img" not in rendered.html
    assert "{{ 7 * 7 }}" in rendered.text


@pytest.mark.parametrize(
    "text",
    ["-10 % avec le code promo", "Profitez de nos soldes", "Un bon d'achat vous attend", "10% off", "Free delivery",
     "Dernière chance", "Plus que 3 en stock", "Vous aimerez aussi", "You may also like", "Use this voucher"],
)  # fmt: skip
def test_words_that_sell_are_found(text: str) -> None:
    assert lint_wording(text)


@pytest.mark.parametrize(
    "text", ["Votre paiement n'a pas abouti", "{{ promo }}", "Le solde ne suffit pas", "la réduction du prix"]
)
def test_words_that_inform_are_not(text: str) -> None:
    assert not lint_wording(text)


@pytest.mark.parametrize(
    ("html", "rule"),
    [
        ('<img src="https://x.example/a.png">', "remote"),
        ('<img src="data:image/gif;base64,R0" width="1">', "pixel"),
        ('<td background="https://x.example/a.png">', "remote"),
        ('<p style="background:url(https://x.example/a)">', "remote"),
        ("<style>@import 'https://x.example/a.css';</style>", "remote"),
        ('<!--[if mso]><v:fill src="https://x.example/a.png"/><![endif]-->', "remote"),
        ('<a href="https://demo.example/?utm_source=mail">x</a>', "tracking"),
        ('<a href="https://demo.example/?coupon=A">x</a>', "tracking"),
        ('<a href="https://demo.example/r?to=https://demo.example/">x</a>', "redirect"),
        ('<a href="https://elsewhere.example/">x</a>', "host"),
        ('<a href="https://demo.example.evil.example/">x</a>', "host"),
        ('<a href="http://demo.example/">x</a>', "link"),
        ('<a href="https://demo.example@evil.example/">x</a>', "link"),
        ('<a href="javascript:alert(1)">x</a>', "link"),
        ("<script>1</script>", "active"),
        ('<link rel="stylesheet" href="https://demo.example/a.css">', "active"),
        ('<form action="https://demo.example/">', "active"),
        ('<p onclick="x()">', "active"),
        ('<meta http-equiv="refresh" content="0">', "active"),
    ],
)
def test_what_loads_tracks_or_acts_is_found(html: str, rule: str) -> None:
    assert rule in {each.rule for each in lint_structure(html, ("demo.example",))}


def test_plain_links_and_pictures_that_come_along_are_none() -> None:
    html = '<img src="cid:logo"><a href="https://www.demo.example/o/t">x</a><a href="mailto:a@b.fr">y</a>'
    assert lint_structure(html, ("demo.example",)) == []
    assert lint_structure('<a href="http://127.0.0.1:8084/o/t">x</a>', ("127.0.0.1",)) == []


def test_the_same_letter_is_the_same_bytes_in_short_ascii_lines() -> None:
    one = compose(letter())
    assert one == compose(letter())
    assert one.isascii()
    assert max(map(len, one.split(b"\r\n"))) <= 998
    assert one.count(b"\n") == one.count(b"\r\n")
    message = message_from_bytes(one, policy=SMTP)
    assert message["Subject"] == "Votre commande n° 1"
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/mixed", "multipart/alternative", "text/plain", "text/html", "application/pdf",
    ]  # fmt: skip


@given(st.text(max_size=80), st.sampled_from(["\r\n", "\n", "\r", "\0"]))
def test_no_subject_begins_another_header(text: str, line_end: str) -> None:
    with pytest.raises(InputError):
        compose(letter(subject=f"{text}{line_end}Bcc: a@b.fr"))


@given(st.text(min_size=1, max_size=150).filter(lambda text: text.isprintable() and bool(text.strip())))
def test_any_other_subject_is_one_header(text: str) -> None:
    message = message_from_bytes(compose(letter(subject=text)), policy=SMTP)
    assert message.keys().count("Subject") == 1
    assert "Bcc" not in message


@pytest.mark.parametrize(
    ("action", "status", "sort"),
    [("failed", "5.1.1", "address"), ("failed", "5.2.2", "mailbox_full"), ("failed", "5.7.1", "policy"),
     ("failed", "4.4.7", "refused"), ("failed", "5.0.0", "refused")],
)  # fmt: skip
def test_a_failed_delivery_has_its_meaning(action: str, status: str, sort: str) -> None:
    report = read_report(dsn(PATH, action, status), SECRET.encode())
    assert report is not None
    assert (report.request, report.action, report.status) == (REQUEST.id, action, status)
    assert failure_of(report).sort == sort


@pytest.mark.parametrize("action", ["delayed", "delivered", "relayed", "expanded"])
def test_other_reports_are_read_too(action: str) -> None:
    report = read_report(dsn(PATH, action, "2.0.0"), SECRET.encode())
    assert report is not None
    assert report.action == action


def test_a_report_is_known_by_the_address_it_came_to_and_by_nothing_else() -> None:
    raw = dsn("postmaster@demo.example", "failed", "5.1.1") + f"Message-ID: <{REQUEST.id}@demo.example>".encode()
    assert read_report(raw, SECRET.encode()) is None
    assert read_report(raw, SECRET.encode(), envelope_to=PATH) is not None
    assert read_report(dsn(PATH, "failed", "5.1.1"), b"another secret") is None


@pytest.mark.parametrize("name", sorted(path.name for path in Path(__file__).with_name("reports").glob("*.eml")))
def test_reports_as_mail_servers_write_them(name: str) -> None:
    raw = Path(__file__).with_name("reports").joinpath(name).read_bytes().replace(b"RETURN-PATH", PATH.encode())
    report = read_report(raw, SECRET.encode())
    wanted = name.removesuffix(".eml").split("_")[1:]
    assert report is not None
    assert [report.action, report.status] == wanted
    assert "@" not in report.detail


@given(st.binary(max_size=400))
def test_anything_else_is_no_report(raw: bytes) -> None:
    assert read_report(raw, SECRET.encode()) is None


def test_a_vacation_notice_is_no_report() -> None:
    raw = f"To: {PATH}\r\nSubject: Away\r\nAuto-Submitted: auto-replied\r\n\r\nI am away.\r\n".encode()
    assert read_report(raw, SECRET.encode()) is None


@pytest.mark.parametrize("level", [b"Content-Type: message/rfc822", b'Content-Type: multipart/mixed; boundary="b"'])
@pytest.mark.parametrize("levels", [2, 90, 20_000])
def test_a_letter_in_a_letter_in_a_letter_is_no_report_and_breaks_nothing(level: bytes, levels: int) -> None:
    raw = f"Delivered-To: {PATH}\r\n".encode() + (level + b"\r\n\r\n--b\r\n") * levels
    assert read_report(raw, SECRET.encode()) is None
    assert read_report((level + b"\r\n\r\n") * levels, SECRET.encode(), PATH) is None


def test_a_report_with_lines_without_end_takes_no_time_and_tells_no_address() -> None:
    long = f"To: {'a' * 1_000_000}\r\n".encode()
    began = time.perf_counter()
    assert read_report(long + dsn(PATH, "failed", "5.1.1"), SECRET.encode()) is not None
    told = without_addresses("x" * 1_995 + " jane.doe@example.com " + "y" * 1_000_000)
    assert time.perf_counter() - began < 2.0
    assert told == "x" * 300
    assert "jane" not in without_addresses("a@b.example " * 165 + "b" * 10 + " jane.doe@example.com")


@pytest.mark.parametrize(
    ("at", "french", "english"),
    [
        ("2026-10-25T00:30:00Z", "25 octobre 2026 à 02:30, UTC+2 (heure de Paris)", "25 October 2026 at 02:30, UTC+2"),
        ("2026-10-25T01:30:00Z", "25 octobre 2026 à 02:30, UTC+1 (heure de Paris)", "25 October 2026 at 02:30, UTC+1"),
        ("2026-10-31T23:30:00Z", "1er novembre 2026 à 00:30 (heure de Paris)", "1 November 2026 at 00:30 (Paris time)"),
    ],
)
def test_dates_and_times_are_in_words_of_paris_and_an_hour_that_comes_twice_is_told_apart(
    at: str, french: str, english: str
) -> None:
    asked = make_request("termination.received", notified_at=at)
    assert french in TEMPLATES.render(asked, SENDER).text
    assert english in TEMPLATES.render(msgspec.structs.replace(asked, locale="en"), SENDER).text


def test_sums_are_written_as_their_language_writes_them_and_signs_hold_to_their_words() -> None:
    asked = make_request("payment.pending", amount="1249,90 EUR", means="Prélèvement : SEPA", until="2027-01-01")
    french = TEMPLATES.render(asked, SENDER).text
    assert "paiement de 1\u202f249,90\u00a0€ par\u00a0: Prélèvement : SEPA." in french
    assert "jusqu'au 1er janvier 2027 au plus tard" in french
    assert "payment of €1,249.90 by" in TEMPLATES.render(msgspec.structs.replace(asked, locale="en"), SENDER).text


@pytest.mark.parametrize("kind", sorted(load_kinds()))
def test_no_sign_of_a_french_letter_begins_a_line_and_no_article_is_parted_from_its_number(kind: Kind) -> None:
    rendered = TEMPLATES.render(make_request(kind), SENDER)
    assert not re.search(r" [:;?!»%€]|« |\b[LRD]\. [0-9]|n° ", rendered.subject + rendered.text)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", sorted(load_kinds()))
def test_both_parts_of_a_letter_say_the_same(kind: Kind, language: str) -> None:
    rendered = TEMPLATES.render(msgspec.structs.replace(make_request(kind), locale=language), SENDER)
    shown = html.unescape(
        re.sub(r"<(head|style|title).*?</\1>|<!--.*?-->|<[^>]+>", " ", rendered.html, flags=re.DOTALL)
    )
    for block in rendered.text.split("\n\n"):
        for line in block.strip("*\n ").splitlines():
            if line.strip("*- ") and not line.startswith("https://"):
                assert " ".join(line.rstrip(":\u00a0").split()) in " ".join(shown.split()), line


def test_a_subject_with_the_spaces_of_french_is_a_header() -> None:
    message = message_from_bytes(compose(letter(subject="Votre commande\u00a0: 49,90\u00a0€\u202f!")), policy=SMTP)
    assert message["Subject"] == "Votre commande : 49,90 € !"
