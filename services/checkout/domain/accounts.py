"""Who a shopper is, once that was proved: by the shop's signed word, or by a link that reached his e-mail address.

There are no passwords. An account fills in what its owner gave before at this shop, and nothing else: neither boxes nor
extras. It keeps no personal data of its own, only which checkout was his last one.
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Final, Literal

import msgspec

from services.checkout.domain.checkouts import Checkout
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.records import Address, Record, SignedIn, check_address

__all__ = [
    "Account", "Claims", "account_of_email", "account_of_subject", "accounts_of", "filled_in", "person_of_email",
]  # fmt: skip

_LINE: Final = r"^[^\x00-\x1f\x7f\u2028\u2029\u202a-\u202e\u2066-\u2069]*$"
_EMAIL: Final = r"^[^\s@<>\"(),:;\\\[\]\x00-\x1f\x7f]{1,64}@[^\s@<>\"(),:;\\\[\]\x00-\x1f\x7f]{1,189}$"

Line = Annotated[str, msgspec.Meta(max_length=200, pattern=_LINE)]
Email = Annotated[str, msgspec.Meta(max_length=254, pattern=_EMAIL)]


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """`checkout_id`: the last one that its owner ordered."""

    id: str
    checkout_id: str


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a shop's signed assertion says of its customer. An e-mail address counts only when the shop verified it."""

    iss: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    sub: Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[!-~]+$")]
    jti: Annotated[str, msgspec.Meta(min_length=16, max_length=128, pattern=r"^[!-~]+$")]
    exp: Annotated[int, msgspec.Meta(gt=0)]
    nbf: int = 0
    name: Line = ""
    given_name: Line = ""
    family_name: Line = ""
    email: Email | None = None
    email_verified: bool = False
    phone_number: Annotated[str, msgspec.Meta(max_length=24, pattern=r"^\+?[0-9 ().-]*$")] = ""
    addresses: Annotated[tuple[Address, ...], msgspec.Meta(max_length=10)] = ()

    @property
    def verified_email(self) -> str:
        """The address that the shop vouches for; empty when it does not."""
        return self.email if self.email is not None and self.email_verified else ""


def person_of_email(email: str) -> str:
    """Who an address is, to events and coupons: the same as a guest who gave it."""
    return sha256(email.strip().casefold().encode()).hexdigest()


def account_of_email(email: str) -> str:
    """The account of whoever reads the mail of an address."""
    return f"email-{person_of_email(email)}"


def account_of_subject(issuer: str, subject: str) -> str:
    """The account of a shop's customer, as the shop names him."""
    return "shop-" + sha256(issuer.encode() + b"\0" + subject.encode()).hexdigest()


def accounts_of(checkout: Checkout, record: Record) -> tuple[Account, ...]:
    """The accounts whose last order this is: that of its e-mail address, and that of the customer who was signed in."""
    if checkout.contact is None:
        return ()
    ids = [account_of_email(checkout.contact.contact.email)]
    if record.account is not None and record.account.id not in ids:
        ids.append(record.account.id)
    return tuple(Account(id=one, checkout_id=record.id) for one in ids)


def filled_in(
    how: Literal["shop", "email"], email: str, claims: Claims | None, last: tuple[Checkout, Record] | None,
    countries: Sequence[str], at: datetime,
) -> SignedIn:  # fmt: skip
    """What the pages fill in for somebody. `email`: verified, or empty; `last`: what he ordered last at this shop."""
    before = last[0].contact if last is not None else None
    contact = before.contact if before is not None else None
    given = claims or Claims(iss="-", sub="-", jti="-" * 16, exp=1)
    first, _, family = given.name.strip().partition(" ")
    known = (
        (contact.first_name or "", contact.last_name or "", contact.phone or "") if contact is not None else ("",) * 3
    )
    sent = (*given.addresses, *([last[1].address] if last is not None and last[1].address is not None else []))
    address = next((one for one in sent if not isinstance(check_address(one, tuple(countries)), Refusal)), None)
    return SignedIn(
        how=how,
        id=account_of_email(email) if claims is None else account_of_subject(claims.iss, claims.sub),
        at=at,
        email=email,
        first_name=given.given_name or (first if family else "") or known[0],
        last_name=given.family_name or family.strip() or known[1],
        phone=given.phone_number or known[2],
        address=address,
    )
