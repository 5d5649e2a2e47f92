"""The dossier of one order: its whole evidence in one HTML file, with a part for machines that is checked alone.

The file is a function of the evidence: same evidence, same bytes. So a byte of it that was changed shows.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Final, Literal

import msgspec

from relance.evidence import merkle
from relance.evidence.canonical import canonical
from relance.evidence.checkpoints import Checkpoint, Header, decode, decode_header, leaf
from relance.evidence.entries import Base64, Digest, Entry, Head, digest, typed, versioned
from relance.evidence.entries import decode as decode_entry
from relance.evidence.personal import Opened, proves
from relance.kernel.errors import InputError

__all__ = [
    "DOSSIER_BYTES_MAX", "Dossier", "Handover", "Seal", "bundle", "commitments_named", "documents_shown", "from_json",
    "hashes_named", "to_json",
]  # fmt: skip

KIND: Final = "relance.evidence.dossier"
DOSSIER_BYTES_MAX: Final = 100_000_000

Signature = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{128}$", max_length=128)]


class Seal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A checkpoint that sealed this order: its header and signature, this order's head, and its path to the root."""

    header: str
    signature: Signature
    head: Head
    path: tuple[tuple[Literal["left", "right"], Digest], ...]

    def read(self) -> Header:
        """The header of its bytes. Raises InputError."""
        return decode_header(self.header.encode())


class Handover(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A checkpoint that handed over to another key: what leads from the first key to the one of a seal."""

    header: str
    signature: Signature

    def read(self) -> Header:
        """The header of its bytes. Raises InputError."""
        return decode_header(self.header.encode())


class Dossier(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The part for machines. `entries` are the very bytes that were chained; `documents` what was shown, by SHA-256;
    `opened` the personal data that could still be read, by commitment.
    """

    type: Literal["relance.evidence.dossier"]
    v: Literal[1]
    shop: str
    order: str
    entries: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    seals: tuple[Seal, ...]
    handovers: tuple[Handover, ...]
    documents: dict[Digest, Base64]
    opened: dict[Digest, Opened]

    def read(self) -> tuple[tuple[Entry, bytes], ...]:
        """The entries with their bytes. Raises InputError."""
        return tuple((decode_entry(text.encode()), text.encode()) for text in self.entries)

    @property
    def placed(self) -> str | None:
        """The order that the chain tells, when it was opened before the order under the checkout's id; else None."""
        for entry, _ in self.read():
            told = entry.facts.get("order")
            if (entry.act, entry.what, entry.by) == ("happened", "order", "checkout") and "number" in entry.facts:
                return told if isinstance(told, str) and told != self.order else None
        return None

    @property
    def signed(self) -> tuple[Seal | Handover, ...]:
        """All that carries a signature."""
        return (*self.seals, *self.handovers)

    @property
    def head(self) -> str:
        """The hash of the last entry: what the confirmation shows, when nothing was recorded since."""
        return digest(self.entries[-1].encode())


def bundle(
    entries: Sequence[bytes],
    checkpoints: Iterable[bytes],
    documents: Iterable[bytes] = (),
    opened: Iterable[Opened] = (),
) -> Dossier:
    """The dossier of one order: its entries as stored, the log's lines (all, or those with its heads and the
    handovers), the documents' bytes, and what could be opened.

    Documents and openings that no entry names are left out, so all that are at hand may be given. Raises InputError
    when there is no entry, or one is ill-formed.
    """
    if not entries:
        raise InputError("there is no evidence of this order")
    read = [decode_entry(data) for data in entries]
    place = (read[0].shop, read[0].order)
    seals: list[Seal] = []
    handovers: list[Handover] = []
    for line in checkpoints:
        checkpoint = decode(line)
        if (seal := _seal_of(checkpoint, place)) is not None:
            seals.append(seal)
        if checkpoint.header.next_key is not None:
            handovers.append(Handover(header=checkpoint.header_bytes.decode(), signature=checkpoint.signature))
    return Dossier(
        type="relance.evidence.dossier", v=1, shop=place[0], order=place[1],
        entries=tuple(data.decode() for data in entries), seals=tuple(seals), handovers=tuple(handovers),
        documents=_named_documents(read, documents), opened=_named_openings(read, opened),
    )  # fmt: skip


def _seal_of(checkpoint: Checkpoint, place: tuple[str, str]) -> Seal | None:
    for index, head in enumerate(checkpoint.heads):
        if (head.shop, head.order) == place:
            path = merkle.path([leaf(each) for each in checkpoint.heads], index)
            header = checkpoint.header_bytes.decode()
            return Seal(header=header, signature=checkpoint.signature, head=head, path=path)
    return None


def hashes_named(entries: Iterable[Entry]) -> set[str]:
    """The SHA-256 of every document that was shown openly."""
    return {entry.document.sha256 for entry in entries if entry.document is not None and entry.document.sha256}


def commitments_named(entries: Iterable[Entry]) -> set[str]:
    """Every commitment: to fields, and to documents that hold personal data."""
    named = set()
    for entry in entries:
        named |= {sealed.commitment for sealed in entry.personal}
        if entry.document is not None and entry.document.sealed is not None:
            named.add(entry.document.sealed.commitment)
    return named


def _named_documents(entries: Sequence[Entry], documents: Iterable[bytes]) -> dict[str, str]:
    named = hashes_named(entries)
    return {name: b64encode(data).decode() for data in documents if (name := digest(data)) in named}


def _named_openings(entries: Sequence[Entry], opened: Iterable[Opened]) -> dict[str, Opened]:
    named = commitments_named(entries)
    openings = list(opened)
    return {name: each for name in sorted(named) for each in openings if proves(each, name)}


def to_json(dossier: Dossier) -> str:
    """The part for machines on one line. `<` is written as an escape: the line stands in a page."""
    return canonical(msgspec.to_builtins(dossier)).decode().replace("<", "\\u003c")


def from_json(text: str | bytes) -> Dossier:
    """The dossier of its line. Raises UnknownVersion, and InputError when it is ill-formed."""
    try:
        value = msgspec.json.decode(text)
        canonical(value)  # bounds its depth, and refuses halves of surrogate pairs
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"the part for machines is not JSON: {error}") from None
    return typed(versioned(value, KIND), Dossier)


def documents_shown(dossier: Dossier, entry: Entry) -> tuple[str, str] | None:
    """The media type and the base64 of what an entry showed, where the dossier holds it."""
    document = entry.document
    if document is None:
        return None
    held: Mapping[str, str] = dossier.documents
    if document.sha256 is not None:
        return (document.media_type, held[document.sha256]) if document.sha256 in held else None
    if document.sealed is not None and document.sealed.commitment in dossier.opened:
        return document.media_type, dossier.opened[document.sealed.commitment].value
    return None
