"""`relance evidence`: the evidence of an order in a file, shown and verified without any database."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relance.cli.console import OUT
from relance.kernel.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relance.evidence.dossier import Dossier
    from relance.evidence.entries import Entry
    from relance.evidence.examination import Examination

__all__ = ["register"]

File = Annotated[Path, typer.Argument(metavar="FILE", help="A file of evidence, as a court was given it.")]


def register(program: typer.Typer) -> None:
    """Add the group to the program."""
    group = typer.Typer(no_args_is_help=True, help="Evidence of orders: what was shown, chosen and accepted.")
    group.command()(verify)
    group.command()(show)
    program.add_typer(group, name="evidence")


def verify(
    file: File,
    key: Annotated[
        Path | None,
        typer.Option(help="The public key (PEM, Ed25519) that signed the first checkpoint.", metavar="PEM"),
    ] = None,
    checkpoints: Annotated[
        Path | None, typer.Option(help="The log of checkpoints, kept outside the database.", metavar="LOG")
    ] = None,
    head: Annotated[
        list[str] | None,
        typer.Option(help="A hash printed in a confirmation; may be repeated.", metavar="HASH"),
    ] = None,
) -> None:
    """Find what was changed in a file of evidence. Exit code 1 when something was."""
    from relance.custody.checkpoint_file import read_lines
    from relance.evidence.checkpoints import key_from_pem
    from relance.evidence.examination import examine

    heads = [_hash(text) for text in head or ()]
    log = read_lines(_bytes(checkpoints)) if checkpoints is not None else None
    result = examine(_bytes(file), key_from_pem(_bytes(key)) if key is not None else None, log, heads)
    for finding in result.verification.findings:
        _say(f"{finding.kind}: {finding.place}: {finding.reason}")
    _sum_up(result, beside_log=log is not None)
    if not result.verification.holds:
        raise typer.Exit(1)


def _sum_up(result: "Examination", *, beside_log: bool) -> None:
    verification, dossier = result.verification, result.dossier
    if dossier is None:
        return
    sealed = verification.entries - verification.unsealed
    _say(
        f"order {dossier.shop}/{dossier.order}: {verification.entries} entries, {sealed} of them sealed by "
        f"{verification.checkpoints} checkpoints; head {dossier.head}"
    )
    for name in result.keys:
        _say(f"key {name}")
    if not result.pinned:
        OUT.print("the file vouches for its own key: compare it with the one that was published, or give --key")
    if not beside_log:
        OUT.print("without --checkpoints, later entries and checkpoints that were left out cannot be found")
    if not verification.holds:
        OUT.print(f"{len(verification.findings)} findings")
    elif result.pinned:
        OUT.print("verified: nothing was changed")
    else:
        OUT.print("consistent: nothing was changed since this key signed it")


def show(file: File) -> None:
    """List the acts in a file of evidence: when, what, under which rule and article. Verifies nothing."""
    from relance.evidence.examination import read

    dossier = read(_bytes(file))
    for entry, data in dossier.read():
        for line in _told(dossier, entry, data):
            _say(line)
    _say(f"order {dossier.shop}/{dossier.order}, head {dossier.head}")


def _told(dossier: "Dossier", entry: "Entry", data: bytes) -> "Iterator[str]":
    from relance.evidence.canonical import canonical
    from relance.evidence.entries import digest
    from relance.evidence.page import paris_time
    from relance.evidence.personal import text_of

    yield f"{entry.seq}  {paris_time(entry.at_ms)}  {entry.act}: {entry.what}  (by {entry.by})"
    for rule in entry.rules:
        yield f"   rule {rule.id} version {rule.version}, {rule.article}"
    for name, value in sorted(entry.facts.items()):
        yield f"   {name} = {canonical(value).decode()}"
    document = entry.document
    if document is not None:
        named = document.sha256 or (document.sealed.commitment if document.sealed is not None else "")
        kind = "sha256" if document.sealed is None else "salted sha256"
        yield f"   {document.media_type}, {document.size_bytes} bytes, {kind} {named}"
    for sealed in entry.personal:
        opened = dossier.opened.get(sealed.commitment)
        value = "encrypted" if opened is None else canonical(text_of(opened)).decode()
        yield f"   {sealed.name} = {value}"
    yield f"   hash {digest(data)}"


def _say(line: str) -> None:
    """What a file says is not for the terminal to obey: signs that are not printed are written as escapes."""
    OUT.print("".join(each if each.isprintable() else ascii(each)[1:-1] for each in line), markup=False)


def _hash(text: str) -> str:
    hash_ = "".join(text.split()).lower()
    if len(hash_) != 64 or set(hash_) - set("0123456789abcdef"):
        raise InputError(f"--head is a hash of 64 hexadecimal digits, not {text[:80]!r}")
    return hash_


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
