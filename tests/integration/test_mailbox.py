"""The mailbox on this machine, as a mail server writes to it and a browser reads it."""

import smtplib
import socket
import subprocess
import sys
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.integration.conftest import ROOT


class Mailbox(NamedTuple):
    smtp: int
    http: httpx.Client
    folder: Path


@pytest.fixture(scope="module")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    folder = tmp_path_factory.mktemp("mailbox")
    command = [sys.executable, "-m", "relance.mailbox", "--smtp-port", "0", "--port", "0", "--folder", str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        word, smtp, url = process.stdout.readline().split()
        assert word == "smtp"
        with httpx.Client(base_url=url, timeout=10) as http:
            yield Mailbox(int(smtp), http, folder)
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def letter(subject: str = "Votre commande", html: str = "<p>Bonjour</p>") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@lampes.example", "b@client.example", subject
    message.set_content("Bonjour\n.\n..\nà bientôt\n")
    message.add_alternative(html, subtype="html")
    message.add_attachment(b"%PDF-1.7 text", maintype="application", subtype="pdf", filename="confirmation.pdf")
    message.add_attachment(b"<script>1</script>", maintype="text", subtype="html", filename="page.html")
    return message


def send(mailbox: Mailbox, message: EmailMessage) -> None:
    with smtplib.SMTP("127.0.0.1", mailbox.smtp, timeout=10) as smtp:
        smtp.send_message(message)


def newest(mailbox: Mailbox) -> dict[str, object]:
    told: list[dict[str, object]] = mailbox.http.get("/api/mails").json()
    return told[0]


def test_a_letter_comes_as_it_was_sent(mailbox: Mailbox) -> None:
    send(mailbox, letter("Commande confirmée ✓"))
    told = newest(mailbox)
    assert (told["subject"], told["to"]) == ("Commande confirmée ✓", "b@client.example")
    assert str(told["text"]).splitlines() == ["Bonjour", ".", "..", "à bientôt"]
    assert told["attached"] == [{"name": "confirmation.pdf", "bytes": 13}, {"name": "page.html", "bytes": 18}]


def test_its_page_runs_and_loads_nothing_of_it(mailbox: Mailbox) -> None:
    send(
        mailbox, letter("<b>x</b>", '<p onclick="a">hello</p><script>alert(1)</script><img src="https://x.example/p">')
    )
    id_ = newest(mailbox)["id"]
    page = mailbox.http.get(f"/mail/{id_}")
    assert "&lt;b&gt;x&lt;/b&gt;" in page.text
    assert "<script" not in page.text
    assert 'sandbox=""' in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    pdf, other = mailbox.http.get(f"/mail/{id_}/0"), mailbox.http.get(f"/mail/{id_}/1")
    assert (pdf.headers["content-type"], pdf.content) == ("application/pdf", b"%PDF-1.7 text")
    assert other.headers["content-type"] == "application/octet-stream"
    assert "x</b" not in mailbox.http.get("/").text


def test_what_is_not_there_is_said(mailbox: Mailbox) -> None:
    for path in ("/mail/none", "/mail/..%2F..%2Fetc%2Fpasswd", "/mail/none/0"):
        assert mailbox.http.get(path).status_code == 404


def test_orders_out_of_turn_are_refused_and_the_connection_goes_on(mailbox: Mailbox) -> None:
    with smtplib.SMTP("127.0.0.1", mailbox.smtp, timeout=10) as smtp:
        smtp.ehlo()
        assert smtp.docmd("DATA")[0] == 503
        assert smtp.docmd("RCPT", "TO:<b@client.example>")[0] == 501
        assert smtp.docmd("MAIL", "FROM:<a@x.example> SIZE=99999999")[0] == 552
        assert smtp.docmd("VRFY", "b")[0] == 502
        assert smtp.docmd("MAIL", "FROM:<>")[0] == 250  # a report
        assert smtp.docmd("RCPT", "TO:<b@client.example>")[0] == 250
        assert smtp.data(b"Subject: report\r\n\r\nx\r\n")[0] == 250
    assert newest(mailbox)["subject"] == "report"


def test_a_line_feed_alone_does_not_end_a_letter(mailbox: Mailbox) -> None:
    with socket.create_connection(("127.0.0.1", mailbox.smtp), 10) as raw:
        file = raw.makefile("rwb")
        file.readline()
        for said, code in (
            (b"HELO x", b"250"),
            (b"MAIL FROM:<a@x.example>", b"250"),
            (b"RCPT TO:<b@x.example>", b"250"),
        ):
            file.write(said + b"\r\n")
            file.flush()
            assert file.readline().startswith(code)
        file.write(b"DATA\r\n")
        file.flush()
        assert file.readline().startswith(b"354")
        file.write(b"Subject: one\r\n\r\nfirst\n.\nMAIL FROM:<evil@x.example>\r\n.\r\nQUIT\r\n")
        file.flush()
        assert file.readline().startswith(b"250")
        assert file.readline().startswith(b"221")
    told = newest(mailbox)
    assert told["subject"] == "one"
    assert "evil@x.example" in str(told["text"])
