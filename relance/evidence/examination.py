"""Examination of a dossier: what one file proves by itself, with the public key, and beside the log."""

from collections.abc import Iterable, Sequence

import msgspec

from relance.evidence import merkle
from relance.evidence.checkpoints import Header, decode, leaf, signed_by
from relance.evidence.dossier import DOSSIER_BYTES_MAX, Dossier, Seal, commitments_named, from_json, hashes_named
from relance.evidence.entries import Entry, Head, UnknownVersion, digest
from relance.evidence.page import EDITIONS, page
from relance.evidence.personal import Opened, bytes_of, proves
from relance.evidence.verification import Chain, Finding, Verification, against_heads, read_chain, read_log
from relance.kernel.errors import InputError

__all__ = ["Examination", "examine", "export", "read"]

START = b'<script type="application/json" id="relance-evidence">\n'
END = b"\n</script>"


class Examination(msgspec.Struct, frozen=True, kw_only=True):
    """What a file proves. `keys` are those that its seals are signed with, the first one foremost; `pinned` says
    whether the first was given by the examiner: otherwise the file vouches for its own key.
    """

    verification: Verification
    dossier: Dossier | None
    keys: tuple[str, ...]
    pinned: bool


def export(dossier: Dossier) -> bytes:
    """The file: read by a person in any browser, by a machine with `read`."""
    return page(dossier)


def read(data: bytes) -> Dossier:
    """The dossier in a file; that it is true is for `examine`. Raises UnknownVersion and InputError."""
    if len(data) > DOSSIER_BYTES_MAX:
        raise InputError(f"a file of {len(data)} bytes; at most {DOSSIER_BYTES_MAX} are a dossier")
    begin = data.find(START)
    end = data.find(END, begin)
    if begin < 0 or end < 0:
        raise InputError("this file holds no evidence that a machine can read")
    return from_json(data[begin + len(START) : end])


def examine(
    data: bytes, key: str | None = None, log: Sequence[bytes] | None = None, heads: Iterable[str] = ()
) -> Examination:
    """All that is wrong with a file.

    `key` is the raw public key (hexadecimal) of the log's first checkpoint, from elsewhere; `log` the lines of the log
    of checkpoints; `heads` are hashes printed in confirmations of this order. Raises UnknownVersion.
    """
    try:
        dossier = read(data)
    except UnknownVersion:
        raise
    except InputError as error:
        return _unreadable(str(error))
    findings: list[Finding] = []
    chain = read_chain((dossier.shop, dossier.order), [text.encode() for text in dossier.entries], findings)
    keys = _keys(dossier, key)
    sealed = _check_seals(dossier, keys, findings)
    against_heads(chain, sealed, findings)
    if _is_whole(findings):
        _check_contents(dossier, [entry for entry, _ in dossier.read()], findings)
        _check_page(data, dossier, findings)
    _check_witnesses(chain, heads, findings)
    if log is not None:
        _check_log(dossier, chain, log, keys[0][1] if keys else "", findings)
    covered = max((head.length for _, head in sealed), default=0)
    if not covered:
        findings.append(Finding("not_sealed", chain.place, "no checkpoint seals it: only its inner links are proved"))
    verification = Verification(
        findings=tuple(findings), orders=1, entries=len(chain.hashes), unsealed=max(len(chain.hashes) - covered, 0),
        checkpoints=len(dossier.seals),
    )  # fmt: skip
    names = tuple(dict.fromkeys(name for _, name in keys))
    return Examination(verification=verification, dossier=dossier, keys=names, pinned=key is not None)


def _unreadable(reason: str) -> Examination:
    found = Finding("unreadable", "the file", reason)
    verification = Verification(findings=(found,), orders=0, entries=0, unsealed=0, checkpoints=0)
    return Examination(verification=verification, dossier=None, keys=(), pinned=False)


def _is_whole(findings: Sequence[Finding]) -> bool:
    return not any(finding.kind == "unreadable" for finding in findings)


def _headers(dossier: Dossier) -> list[Header]:
    found = []
    for part in dossier.signed:
        try:
            found.append(part.read())
        except InputError:
            continue  # told by _check_seals, or followed by a wrong key
    return sorted(found, key=lambda header: header.number)


def _keys(dossier: Dossier, first: str | None) -> list[tuple[int, str]]:
    """Which key is in force from which checkpoint on. A handover counts when the key before signed it."""
    headers = _headers(dossier)
    if first is None and not headers:
        return []
    keys = [(1, first if first is not None else headers[0].key)]
    signed = []
    for handover in dossier.handovers:
        try:
            signed.append((handover.read(), handover))
        except InputError:
            continue
    for header, handover in sorted(signed, key=lambda pair: pair[0].number):
        if header.next_key is not None and signed_by(handover.header.encode(), handover.signature, keys[-1][1]):
            keys.append((header.number + 1, header.next_key))
    return keys


def _key_at(keys: Sequence[tuple[int, str]], number: int) -> str:
    return [key for since, key in keys if since <= number][-1]


def _check_seals(dossier: Dossier, keys: Sequence[tuple[int, str]], findings: list[Finding]) -> list[tuple[str, Head]]:
    """The heads that true seals prove."""
    true = []
    for at, part in enumerate(dossier.signed):
        try:
            header = part.read()
        except InputError as error:
            findings.append(Finding("unreadable", f"seal {at}", str(error)))
            continue
        place = f"checkpoint {header.number}"
        key = _key_at(keys, header.number)
        if header.key != key:
            said = f"it is signed with {header.key[:16]}…, and {key[:16]}… is in force"
            findings.append(Finding("wrong_key", place, said))
        elif not signed_by(part.header.encode(), part.signature, key):
            findings.append(Finding("bad_signature", place, "the signature is not that of the key over these bytes"))
        elif isinstance(part, Seal):
            if _leads_to_root(part, header, dossier):
                true.append((place, part.head))
            else:
                findings.append(Finding("wrong_root", place, "this order's head is not among those that it signed"))
        elif header.next_key is None:
            findings.append(Finding("wrong_key", place, "it hands over to no key"))
    return true


def _leads_to_root(seal: Seal, header: Header, dossier: Dossier) -> bool:
    ours = (seal.head.shop, seal.head.order) == (dossier.shop, dossier.order) and seal.head.length > 0
    return ours and merkle.root_from(leaf(seal.head), seal.path) == header.root


def _check_contents(dossier: Dossier, entries: Sequence[Entry], findings: list[Finding]) -> None:
    named = hashes_named(entries)
    for name, text in dossier.documents.items():
        if name not in named or not _is_document(name, text):
            findings.append(Finding("document_differs", f"document {name[:16]}…", "it is not what was shown"))
    committed = commitments_named(entries)
    for name, opened in dossier.opened.items():
        if name not in committed or not _is_opening(name, opened):
            findings.append(Finding("personal_differs", f"commitment {name[:16]}…", "this value was not committed to"))


def _is_document(name: str, text: str) -> bool:
    try:
        return digest(bytes_of(text)) == name
    except InputError:
        return False


def _is_opening(name: str, opened: Opened) -> bool:
    try:
        return proves(opened, name)
    except InputError:
        return False


def _check_page(data: bytes, dossier: Dossier, findings: list[Finding]) -> None:
    try:
        same = any(page(dossier, edition) == data for edition in EDITIONS)
    except InputError:  # an opened value that is no base64, told by _check_contents
        same = False
    if not same:
        said = "what a person reads in it is not what the evidence says, or another version of this program wrote it"
        findings.append(Finding("readable_part_differs", "the file", said))


def _check_witnesses(chain: Chain, heads: Iterable[str], findings: list[Finding]) -> None:
    for head in heads:
        if head not in chain.hashes:
            said = f"the confirmation shows {head[:16]}…, which is no entry of this file"
            findings.append(Finding("witness_contradicted", chain.place, said))


def _first_key(lines: Sequence[bytes]) -> str:
    try:
        return decode(lines[0]).header.key if lines else ""
    except InputError:
        return ""  # told by read_log


def _check_log(dossier: Dossier, chain: Chain, lines: Sequence[bytes], key: str, findings: list[Finding]) -> None:
    log = read_log(lines, key or _first_key(lines), findings)
    place = (dossier.shop, dossier.order)
    sealed = [
        (f"checkpoint {checkpoint.header.number} of the log", head)
        for checkpoint in log
        for head in checkpoint.heads
        if (head.shop, head.order) == place
    ]
    against_heads(chain, sealed, findings)
    headers = {checkpoint.header_bytes for checkpoint in log}
    findings += [
        Finding("not_in_log", chain.place, "the log lacks a checkpoint that this file rests on")
        for part in dossier.signed
        if part.header.encode() not in headers
    ]
