"""An order's evidence as the checkout records it, from a seed."""

from collections.abc import Sequence
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from relance.evidence.checkpoints import Checkpoint, encode, seal
from relance.evidence.dossier import Dossier, bundle
from relance.evidence.entries import Act, Document, Head, RuleRef, append, digest, start
from relance.evidence.personal import (
    Draw,
    Opened,
    Person,
    new_key,
    open_document,
    open_field,
    seal_document,
    seal_field,
)

SHOP = "atelier"
TEN_MS = 1_795_338_000_000  # 2026-11-22T09:00:00Z, ten o'clock in Paris
MINUTE_MS = 60_000
TERMS = "Conditions générales <b>de vente</b>\n".encode()
BUTTON = "Commander avec obligation de paiement"


def key(seed: int = 1) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(Random(seed).randbytes(32))


def public(seed: int = 1) -> str:
    return key(seed).public_key().public_bytes_raw().hex()


def draw(seed: int = 7) -> Draw:
    return Random(seed).randbytes


def person(order: str, subject: str = "p-1", seed: int = 3) -> Person:
    return Person(shop=SHOP, order=order, subject=subject, key=new_key(draw(seed)))


def acts(order: str, at_ms: int = TEN_MS) -> tuple[list[Act], list[Opened]]:
    """A whole order in six acts within the minute, and what proves its personal data."""
    who = person(order)
    random = draw(sum(order.encode()))
    email = seal_field(who, "email", "léa@example.fr", random)
    address = seal_field(who, "address", "1 rue de la Paix", random)
    recap, blob = seal_document(who, b"<p>Lea, 42,00 EUR</p>", "text/html", random)
    terms = Document(media_type="text/plain", size_bytes=len(TERMS), sha256=digest(TERMS))
    rules = {
        "terms": RuleRef(id="A09", version=1, article="1127-1"),
        "button": RuleRef(id="A04", version=1, article="L221-14 al. 2"),
    }
    told = [
        Act(at_ms=at_ms, act="shown", what="terms", rules=(rules["terms"],), document=terms),
        Act(at_ms=at_ms + 1_000, act="accepted", what="terms", facts={"sha256": digest(TERMS)}),
        Act(at_ms=at_ms + 2_000, act="chosen", what="contact", personal=(email, address)),
        Act(at_ms=at_ms + 3_000, act="shown", what="recap", document=recap, facts={"total_minor": 4_200}),
        Act(at_ms=at_ms + 4_000, act="accepted", what="button", rules=(rules["button"],), facts={"words": BUTTON}),
        Act(at_ms=at_ms + 5_000, act="happened", what="payment", by="payment", facts={"status": "captured"}),
    ]
    return told, [open_field(email, who), open_field(address, who), open_document(recap, blob, who)]


def chain(order: str, told: Sequence[Act] | None = None, head: Head | None = None) -> tuple[list[bytes], Head]:
    """The entries and the head of an order."""
    entries: list[bytes] = []
    head = head or start(SHOP, order)
    for act in acts(order)[0] if told is None else told:
        data, head = append(head, act)
        entries.append(data)
    return entries, head


def world(orders: int = 3, seed: int = 1) -> tuple[dict[tuple[str, str], list[bytes]], list[bytes]]:
    """Orders in two minutes each: three acts before the first checkpoint, three before the second; a third is empty."""
    store: dict[tuple[str, str], list[bytes]] = {}
    halves: tuple[list[Head], list[Head]] = ([], [])
    for number in range(orders):
        order = f"o-{number}"
        told = acts(order)[0]
        first, early = chain(order, told[:3])
        later, late = chain(order, told[3:], early)
        store[SHOP, order] = first + later
        halves[0].append(early)
        halves[1].append(late)
    checkpoints: list[Checkpoint] = []
    for at, heads in enumerate((*halves, [])):
        prior = checkpoints[-1] if checkpoints else None
        checkpoints.append(seal(prior, heads, TEN_MS + (at + 1) * MINUTE_MS, key(seed)))
    return store, [encode(checkpoint) for checkpoint in checkpoints]


def dossier(order: str = "o-1") -> Dossier:
    """The whole dossier of one of three orders, all of it opened."""
    store, log = world()
    return bundle(store[SHOP, order], log, [TERMS, b"another"], acts(order)[1])
