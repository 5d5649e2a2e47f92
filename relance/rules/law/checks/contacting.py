"""Part E, what the tunnel asks of a person: consents, telephone, stored cards, the e-mail field."""

from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256

from relance.rules.law.book import Rule
from relance.rules.law.checks.registry import Fault, meaning
from relance.rules.law.document import Document

__all__: list[str] = []


@meaning("E07")
def consents(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """One unticked act for each purpose, with its proof."""
    for place, consent in enumerate(document.contact.consents if document.contact is not None else ()):
        path = f"contact.consents.{place}"
        if consent.preticked:
            yield Fault(f"{path}.preticked", f"the box for {consent.purpose} is ticked in advance")
        if not consent.separate:
            yield Fault(f"{path}.separate", f"{consent.purpose} is bundled with another act")
        if consent.granted and (not consent.text_version or consent.at is None):
            yield Fault(f"{path}.text_version", f"there is no proof of the consent to {consent.purpose}")


@meaning("E10")
def telephone(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The text beside the field, and the sentence in the contract."""
    if document.contact is None or document.contact.phone is None:
        return
    notice = document.contact.phone.notice
    if not notice:
        yield Fault("contact.phone.notice", "the telephone field has no notice on sales calls")
    elif notice != rule.wordings["field"].text:
        supplied = document.legal.counsel_texts.get("E10.field")
        if sha256(notice.encode()).hexdigest() != supplied:
            yield Fault("contact.phone.notice", "the notice is neither the book's text nor the counsel's")
    if not document.legal.phone_ban_in_contract:
        yield Fault("legal.phone_ban_in_contract", "the contract does not say that calls without consent are forbidden")
    sent = document.order.confirmation if document.order is not None else None
    if sent is not None and sent.sent_at is not None and not sent.phone_ban:
        yield Fault("order.confirmation.phone_ban", "the confirmation lacks the sentence on sales calls")


@meaning("E13")
def outbound_calls(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Nobody is bound by a call of the trader."""
    signed = document.order is not None and document.order.signed_on_durable_medium
    if document.channel == "phone_outbound" and not signed:
        yield Fault("channel", "an order by a call of the trader binds only once signed on a durable medium")


@meaning("E25")
def stored_cards(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """A card only on its own unticked box; the security code never."""
    payment = document.payment
    if payment is None:
        return
    if payment.card_stored and payment.card_storage_consent != "separate_unticked":
        yield Fault("payment.card_storage_consent", "the card is stored without a separate unticked consent")
    if payment.security_code_kept:
        yield Fault("payment.security_code_kept", "the security code is kept")


@meaning("E26")
def email_notice(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The notice beside the e-mail field."""
    if document.contact is not None and not document.contact.email_notice:
        yield Fault("contact.email_notice", "the e-mail field has no notice on the use of the data")


@meaning("E27")
def only_what_is_submitted(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Nothing typed is kept before it is submitted."""
    if document.contact is not None and not document.contact.email_kept_only_on_submit:
        yield Fault("contact.email_kept_only_on_submit", "the address is kept before it is submitted")
