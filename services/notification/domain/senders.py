"""Who a shop's mail is from."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from relance.kernel.errors import InputError
from services.notification.domain.addresses import header_text, parse_address

__all__ = ["DkimKey", "Sender", "read_senders"]

_SELECTOR: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class DkimKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the key that signs is published: `<selector>._domainkey.<domain>`."""

    domain: str
    selector: str = "relance"


class Sender(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A shop's sender. `address` is on the shop's own domain, and `dkim.domain` is that domain or one above it, so that
    DMARC finds them aligned. `hosts`: further hosts that links in our own texts may lead to.
    """

    name: str
    address: str
    dkim: DkimKey
    bounce_domain: str  # reports come back to b+…@ this domain
    reply_to: str = ""
    identity: str = ""  # a line at the foot: name, address, register
    help_phone: str = ""
    help_hours: str = ""
    help_email: str = ""
    hosts: tuple[str, ...] = ()

    @property
    def domain(self) -> str:
        """The domain of `address`."""
        return self.address.rpartition("@")[2].lower()

    @property
    def link_hosts(self) -> tuple[str, ...]:
        """The hosts that links may lead to, each with what is under it."""
        return (self.dkim.domain, *self.hosts)


def read_senders(document: Any) -> dict[str, Sender]:
    """The senders by shop, of `{senders: {shop: {...}}}`. Raises InputError that names shop and field."""
    if not isinstance(document, Mapping) or not isinstance(document.get("senders"), Mapping):
        raise InputError("senders: a mapping `senders` of shops is wanted")
    senders: dict[str, Sender] = {}
    for shop, given in document["senders"].items():
        try:
            senders[str(shop)] = _checked(msgspec.convert(given, Sender))
        except (msgspec.ValidationError, InputError) as error:
            raise InputError(f"senders: {shop}: {error}") from None
    if not senders:
        raise InputError("senders: there is none")
    return senders


def _checked(sender: Sender) -> Sender:
    header_text(sender.name, 100)
    parse_address(sender.address)
    parse_address(f"b@{sender.bounce_domain}")
    if sender.reply_to:
        parse_address(sender.reply_to)
    if sender.domain != sender.dkim.domain and not sender.domain.endswith(f".{sender.dkim.domain}"):
        raise InputError(f"dkim.domain {sender.dkim.domain} is not the domain of {sender.address}, nor above it")
    if _SELECTOR.fullmatch(sender.dkim.selector) is None:
        raise InputError("dkim.selector: letters, digits and hyphens, at most 63")
    return sender
