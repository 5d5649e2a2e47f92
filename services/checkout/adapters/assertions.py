"""The shop's signed word on who its customer is: JSON Web Tokens (RFC 7519), checked as RFC 8725 advises."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from services.checkout.domain.accounts import Claims
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.shops import AssertionKey, Shop

__all__ = ["LASTS_MAX_S", "audience", "check_keys", "read_assertion"]

LASTS_MAX_S: Final = 300
_CLOCKS_APART_S: Final = 30
_LETTERS_MAX: Final = 8_192
_SECRET_MIN: Final = 32
_ASKED: Final = ("iss", "aud", "exp", "jti", "sub")
_REFUSED: Final = Refusal("assertion", "is not signed by a key of this shop for this checkout")


def audience(base_url: str, shop: str) -> str:
    """Whom an assertion has to be made for, as its `aud` says."""
    return f"{base_url.rstrip('/')}/{shop}"


def check_keys(shop: Shop) -> Refusal | None:
    """Whether the keys that a shop registers can check anything; what is secret must not be there as public."""
    if len({one.id for one in shop.assertions}) < len(shop.assertions):
        return Refusal("assertions", "each key has an id of its own")
    for one in shop.assertions:
        if bool(one.public_key) == bool(one.secret):
            return Refusal(f"assertions.{one.id}", "either a public key or a secret")
        if one.secret and len(one.secret.encode()) < _SECRET_MIN:
            return Refusal(f"assertions.{one.id}.secret", f"at least {_SECRET_MIN} bytes, drawn at random")
        if "PRIVATE" in one.public_key:
            return Refusal(f"assertions.{one.id}.public_key", "is a private key: make a new one, and keep it")
        if one.public_key and _pinned(one) is None:
            return Refusal(f"assertions.{one.id}.public_key", "a PEM of an Ed25519 or a P-256 public key")
    return None


def read_assertion(token: str, shop: Shop, base_url: str, at: datetime) -> Claims | Refusal:
    """What a token says, when one of the shop's keys signed it, for these pages, for at most five minutes from now.

    What checks a signature follows from the key; the token's header chooses among the shop's keys and nothing else.
    Whether its `jti` was used before is another question.
    """
    if len(token) > _LETTERS_MAX:
        return _REFUSED
    for key in _candidates(token, shop):
        pinned = _pinned(key)
        if pinned is None:
            continue
        try:
            found = jwt.decode(
                token, pinned[1], algorithms=[pinned[0]], audience=audience(base_url, shop.id), issuer=key.issuer,
                options={"require": list(_ASKED), "verify_exp": False, "verify_nbf": False, "verify_iat": False,
                         "strict_aud": True},
            )  # fmt: skip
            claims = msgspec.convert(found, Claims)
        except (jwt.PyJWTError, msgspec.ValidationError, ValueError, TypeError):
            continue
        return claims if _timely(claims, at) else Refusal("assertion.exp", "holds for five minutes, and has to be new")
    return _REFUSED


def _candidates(token: str, shop: Shop) -> Iterator[AssertionKey]:
    try:
        named = jwt.get_unverified_header(token).get("kid")
    except (jwt.PyJWTError, ValueError, TypeError):
        return
    yield from (one for one in shop.assertions if named is None or one.id == named)


def _pinned(key: AssertionKey) -> tuple[str, Any] | None:
    """The only algorithm that a key is used with, and the key."""
    if key.secret:
        return "HS256", key.secret.encode()
    try:
        public = load_pem_public_key(key.public_key.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    if isinstance(public, Ed25519PublicKey):
        return "EdDSA", public
    if isinstance(public, EllipticCurvePublicKey) and isinstance(public.curve, SECP256R1):
        return "ES256", public
    return None


def _timely(claims: Claims, at: datetime) -> bool:
    now_s = at.timestamp()
    return now_s < claims.exp <= now_s + LASTS_MAX_S + _CLOCKS_APART_S and claims.nbf <= now_s + _CLOCKS_APART_S
