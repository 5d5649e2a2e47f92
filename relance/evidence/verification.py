"""Verification: the store's chains against the log of checkpoints that is kept outside it.

What no verification can find: what was never sealed. An entry or a whole order that is edited or deleted before the
first checkpoint after it leaves no trace, but for a head printed in a confirmation, which is a witness here. Whoever
holds the signing key and every copy of the log can write both anew; a copy elsewhere, or any confirmation, shows it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from relance.evidence import merkle
from relance.evidence.checkpoints import Checkpoint, decode, leaf, signed_by
from relance.evidence.entries import NOTHING, Head, digest
from relance.evidence.entries import decode as decode_entry
from relance.kernel.errors import InputError

__all__ = [
    "SKEW_MS", "Chain", "Finding", "Kind", "SealedHead", "Verification", "against_heads", "against_seals", "read_chain",
    "read_log", "sealed_heads", "true_checkpoints", "verify",
]  # fmt: skip

SKEW_MS: Final = 300_000  # how far the clocks of the one who records and the one who seals may lie apart

Order: TypeAlias = tuple[str, str]  # shop, order
Kind: TypeAlias = Literal[
    "unreadable", "misplaced", "broken_chain", "rewritten", "truncated", "missing_order", "antedated", "postdated",
    "witness_contradicted", "wrong_key", "bad_signature", "wrong_root", "checkpoint_missing", "broken_log",
    "time_went_back", "not_in_log", "document_differs", "personal_differs", "readable_part_differs", "not_sealed",
]  # fmt: skip


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong, where, and in words."""

    kind: Kind
    place: str
    reason: str


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, and over how much. `unsealed` entries stand after their order's last checkpoint: of these only
    the links among them are proved.
    """

    findings: tuple[Finding, ...]
    orders: int
    entries: int
    unsealed: int
    checkpoints: int

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of one order: hash and instant of each entry; the instant is None where it is unreadable."""

    shop: str
    order: str
    hashes: tuple[str, ...]
    at_ms: tuple[int | None, ...]

    @property
    def place(self) -> str:
        """How findings name it."""
        return f"order {self.shop}/{self.order}"


class SealedHead(NamedTuple):
    """A head that a true checkpoint sealed. `after_ms`: when the true checkpoint before it was signed, None for the
    first of all.
    """

    number: int
    after_ms: int | None
    at_ms: int
    head: Head


def verify(
    entries: Mapping[Order, Sequence[bytes]],
    checkpoints: Sequence[bytes],
    key: str,
    witnesses: Iterable[Head] = (),
    known: Mapping[int, str] = MappingProxyType({}),
    skew_ms: int = SKEW_MS,
) -> Verification:
    """Every chain of the store against every line of the log.

    `entries` are each order's as stored, in their order; `key` is the raw Ed25519 public key (hexadecimal) of the
    first checkpoint, known from elsewhere; keys that take over are followed. `witnesses` are heads, and `known`
    hashes of checkpoints by number, that were given out before, in confirmations or to another keeper. Nothing is
    raised for evidence that is wrong in any way.
    """
    findings: list[Finding] = []
    sealed: dict[Order, list[SealedHead]] = {}
    for each in sealed_heads(true_checkpoints(checkpoints, key, findings)):
        sealed.setdefault((each.head.shop, each.head.order), []).append(each)
    chains = {place: read_chain(place, data, findings) for place, data in entries.items()}
    unsealed = 0
    for place in sorted({*chains, *sealed}):
        unsealed += against_seals(place, chains.get(place), sealed.get(place, ()), findings, skew_ms)
    _against_known(checkpoints, known, findings)
    for witness in witnesses:
        chain = chains.get((witness.shop, witness.order))
        _against_witness(chain, witness, findings)
    return Verification(
        findings=tuple(findings), orders=len(chains), entries=sum(len(chain.hashes) for chain in chains.values()),
        unsealed=unsealed, checkpoints=len(checkpoints),
    )  # fmt: skip


def read_chain(place: Order, entries: Sequence[bytes], findings: list[Finding]) -> Chain:
    """One order's entries, each held against its place and the one before."""
    shop, order = place
    hashes: list[str] = []
    instants: list[int | None] = []
    prior: str = NOTHING
    for seq, data in enumerate(entries):
        where = f"order {shop}/{order}, entry {seq}"
        try:
            entry = decode_entry(data)
        except InputError as error:
            findings.append(Finding("unreadable", where, str(error)))
            instants.append(None)
        else:
            instants.append(entry.at_ms)
            if (entry.shop, entry.order, entry.seq) != (shop, order, seq):
                said = f"it says that it is entry {entry.seq} of order {entry.shop}/{entry.order}"
                findings.append(Finding("misplaced", where, said))
            if entry.prior != prior:
                said = "it does not follow the entry before it: that one, or this, was changed, added or removed"
                findings.append(Finding("broken_chain", where, said))
        prior = digest(data)
        hashes.append(prior)
    return Chain(shop=shop, order=order, hashes=tuple(hashes), at_ms=tuple(instants))


def read_log(lines: Iterable[bytes], key: str, findings: list[Finding]) -> list[Checkpoint]:
    """All of `true_checkpoints`."""
    return list(true_checkpoints(lines, key, findings))


def true_checkpoints(lines: Iterable[bytes], key: str, findings: list[Finding]) -> Iterator[Checkpoint]:
    """The checkpoints that are true: well-formed, signed with the key in force, and with the heads that were signed.

    One at a time, so a log of any length takes the memory of one line; `findings` are whole once all were taken.
    """
    expected, prior, at_ms = 1, NOTHING, None
    for position, line in enumerate(lines, start=1):
        try:
            checkpoint = decode(line)
        except InputError as error:
            findings.append(Finding("unreadable", f"line {position} of the log", str(error)))
            expected, prior = expected + 1, ""
            continue
        header = checkpoint.header
        place = f"checkpoint {header.number}"
        if header.number != expected:
            findings.append(Finding("checkpoint_missing", place, f"checkpoint {expected} was to come here"))
        elif prior and header.prior != prior:
            findings.append(Finding("broken_log", place, "it does not follow the checkpoint before it"))
        if at_ms is not None and header.at_ms < at_ms:
            findings.append(Finding("time_went_back", place, "it is older than the checkpoint before it"))
        wrong = _untrue(checkpoint, key)
        expected, prior, at_ms = header.number + 1, checkpoint.hash, header.at_ms
        if wrong is None:
            key = header.next_key or key
            yield checkpoint
        else:
            findings.append(Finding(wrong[0], place, wrong[1]))


def sealed_heads(log: Iterable[Checkpoint]) -> Iterator[SealedHead]:
    """What true checkpoints say of chains, in their order."""
    after_ms: int | None = None
    for checkpoint in log:
        header = checkpoint.header
        for head in checkpoint.heads:
            yield SealedHead(header.number, after_ms, header.at_ms, head)
        after_ms = header.at_ms


def _untrue(checkpoint: Checkpoint, key: str) -> tuple[Kind, str] | None:
    header, heads = checkpoint.header, checkpoint.heads
    if header.key != key:
        return "wrong_key", f"it is signed with {header.key[:16]}…, and {key[:16]}… is in force"
    if not signed_by(checkpoint.header_bytes, checkpoint.signature, key):
        return "bad_signature", "the signature is not that of the key in force over these bytes"
    places = [(head.shop, head.order) for head in heads]
    if places != sorted(set(places)) or not all(head.length for head in heads):
        return "wrong_root", "its heads are not in their one order"
    if header.count != len(heads) or header.root != merkle.root([leaf(head) for head in heads]):
        return "wrong_root", "its heads are not those that were signed"
    return None


def against_heads(chain: Chain, heads: Iterable[tuple[str, Head]], findings: list[Finding]) -> None:
    """A chain against heads that were true once, each with the place where it stands; the longest gap is told once."""
    longest: tuple[str, Head] | None = None
    for source, head in heads:
        if head.length > len(chain.hashes):
            if longest is None or head.length > longest[1].length:
                longest = source, head
        elif chain.hashes[head.length - 1] != head.hash:
            said = f"entry {head.length - 1} is not the one that {source} sealed"
            findings.append(Finding("rewritten", chain.place, said))
    if longest is not None:
        source, head = longest
        said = f"{len(chain.hashes)} entries are left of the {head.length} that {source} sealed"
        findings.append(Finding("truncated", chain.place, said))


def against_seals(
    place: Order, chain: Chain | None, sealed: Sequence[SealedHead], findings: list[Finding], skew_ms: int = SKEW_MS
) -> int:
    """Adds what is wrong with one order, given all that the log says of it; returns how many of its entries no
    checkpoint covers.
    """
    if chain is None or not chain.hashes:
        if sealed:
            last = sealed[-1]
            said = f"checkpoint {last.number} sealed {last.head.length} entries, and none is left"
            findings.append(Finding("missing_order", f"order {place[0]}/{place[1]}", said))
        return 0
    against_heads(chain, [(f"checkpoint {each.number}", each.head) for each in sealed], findings)
    covered = 0
    for each in sealed:
        after_ms = each.after_ms - skew_ms if each.after_ms is not None else None
        _against_times(chain, range(covered, each.head.length), (after_ms, each.at_ms + skew_ms), findings)
        covered = max(covered, each.head.length)
    return max(len(chain.hashes) - covered, 0)


def _against_times(chain: Chain, entries: range, bounds: tuple[int | None, int], findings: list[Finding]) -> None:
    after_ms, until_ms = bounds
    for seq, at_ms in zip(entries, chain.at_ms[entries.start : entries.stop], strict=False):
        place = f"{chain.place}, entry {seq}"
        if at_ms is not None and after_ms is not None and at_ms < after_ms:
            findings.append(Finding("antedated", place, "an earlier checkpoint would have sealed it, and did not"))
        if at_ms is not None and at_ms > until_ms:
            findings.append(Finding("postdated", place, "it was sealed before the time that it gives"))


def _against_known(lines: Sequence[bytes], known: Mapping[int, str], findings: list[Finding]) -> None:
    """The log against what was given out of it: so a log that lost its end is found, or one that was written anew."""
    if not known:
        return
    hashes: dict[int, str] = {}
    for line in lines:
        try:
            checkpoint = decode(line)
        except InputError:
            continue  # told by read_log
        hashes[checkpoint.header.number] = checkpoint.hash
    for number, given in sorted(known.items()):
        if hashes.get(number) != given:
            said = "it is not in the log" if number not in hashes else "it is not the one that was given out"
            findings.append(Finding("witness_contradicted", f"checkpoint {number}", said))


def _against_witness(chain: Chain | None, witness: Head, findings: list[Finding]) -> None:
    held = chain is not None and 0 < witness.length <= len(chain.hashes)
    if chain is None or not held or chain.hashes[witness.length - 1] != witness.hash:
        place = f"order {witness.shop}/{witness.order}"
        said = f"a head of {witness.length} entries was given out, and is not that of what is stored"
        findings.append(Finding("witness_contradicted", place, said))
