"""`relance evidence`: the evidence of an order, out of the checkout's database or in a file that needs none."""

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relance.cli import evidence_erase, evidence_keys
from relance.cli import evidence_stored as stored
from relance.cli.console import NOTES, OUT
from relance.kernel.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from relance.evidence.dossier import Dossier
    from relance.evidence.entries import Entry
    from relance.evidence.examination import Examination
    from relance.evidence.verification import Verification
    from services.checkout.store import Watching

__all__ = ["register"]

Target = Annotated[
    str,
    typer.Argument(metavar="ORDER|FILE", help="An order's id, or a file of evidence as a court was given it."),
]


def register(program: typer.Typer) -> None:
    """Add the group to the program."""
    group = typer.Typer(no_args_is_help=True, help="Evidence of orders: what was shown, chosen and accepted.")
    group.command()(verify)
    group.command()(show)
    group.command()(export)
    group.command()(evidence_erase.erase)
    evidence_keys.register(group)
    program.add_typer(group, name="evidence")


def verify(
    target: Annotated[
        str, typer.Argument(metavar="ORDER|FILE|all", help="An order's id, a file of evidence, or the whole database.")
    ],
    key: Annotated[
        Path | None,
        typer.Option(help="The public key (PEM, Ed25519) that signed the first checkpoint.", metavar="PEM"),
    ] = None,
    checkpoints: stored.Log = None,
    head: Annotated[
        list[str] | None,
        typer.Option(help="A hash printed in a confirmation; may be repeated.", metavar="HASH"),
    ] = None,
    database: stored.Database = "",
) -> None:
    """Find what was changed in the evidence of an order, or in all of it. Exit code 1 when something was.

    Out of the database it is held against the log of checkpoints; a file proves itself, and more with --checkpoints.
    """
    from relance.custody.checkpoint_file import read_lines
    from relance.evidence.checkpoints import key_from_pem
    from relance.evidence.examination import examine

    heads = [_hash(text) for text in head or ()]
    public = key_from_pem(_bytes(key)) if key is not None else None
    if target == stored.ALL or stored.is_order(target):
        _verify_stored(target, database, public, checkpoints, heads)
        return
    log = read_lines(_bytes(checkpoints)) if checkpoints is not None else None
    result = examine(_bytes(Path(target)), public, log, heads)
    _tell(result.verification)
    _sum_up(result, beside_log=log is not None)
    if not result.verification.holds:
        raise typer.Exit(1)


def _sum_up(result: "Examination", *, beside_log: bool) -> None:
    verification, dossier = result.verification, result.dossier
    if dossier is None:
        return
    sealed = verification.entries - verification.unsealed
    _say(
        f"order {dossier.shop}/{dossier.placed or dossier.order}: {verification.entries} entries, "
        f"{sealed} of them sealed by {verification.checkpoints} checkpoints; head {dossier.head}"
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


def _tell(verification: "Verification") -> None:
    for finding in verification.findings:
        _say(f"{finding.kind}: {finding.place}: {finding.reason}")


def _verify_stored(
    order: str, database: str, key: str | None, checkpoints: Path | None, heads: "Sequence[str]"
) -> None:
    log = stored.checkpoint_log(checkpoints)
    own = stored.published_key()
    first = key or own or _first_key(log)
    with _told_on_the_way(heads) as watching:
        checked = stored.checked(order, database, log, first, watching)
    totals = checked.totals
    wrong = totals.findings
    for each in heads:
        if each not in totals.met:
            wrong += 1
            _say(f"witness_contradicted: a confirmation shows {each[:16]}…, which is no entry of what is stored")
            if (sealed := totals.witnessed.get(each)) is not None:
                _say(
                    f"   checkpoint {sealed.number} sealed it: {sealed.head.length} entries of "
                    f"{sealed.head.shop}/{sealed.head.order} were there"
                )
    counted = f"{totals.entries} entries, {totals.entries - totals.unsealed} of them sealed"
    what = f"order {checked.shop}/{checked.order}" if checked.shop else f"{totals.orders} chains"
    _say(f"{what}: {counted}; {totals.checkpoints} checkpoints in the log")
    if checked.head:
        _say(f"head {checked.head}")
    _say(f"key {first or 'none: nothing was sealed yet'}")
    if key is None:
        whose = "this machine's" if own else "the log's own"
        OUT.print(f"the key is {whose}: compare it with the one that was published, or give --key")
    if wrong:
        OUT.print(f"{wrong} findings")
        raise typer.Exit(1)
    OUT.print("verified: nothing was changed")


@contextmanager
def _told_on_the_way(heads: "Sequence[str]") -> "Iterator[Watching]":
    """Findings are told as they are made; on a terminal a bar says how far it is."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from services.checkout.store import Watching

    columns = (TextColumn("entries"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=NOTES, transient=True, disable=not NOTES.is_terminal) as progress:
        task = progress.add_task("entries", total=None)
        yield Watching(
            tell=lambda each: _say(f"{each.kind}: {each.place}: {each.reason}"),
            went=lambda done, in_all: progress.update(task, completed=done, total=in_all),
            witnesses=frozenset(heads),
        )


def _first_key(log: "Iterable[bytes]") -> str:
    from relance.evidence.checkpoints import decode

    line = next(iter(log), None)
    return "" if line is None else decode(line).header.key


def export(
    order: Annotated[str, typer.Argument(metavar="ORDER", help="An order's id.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to write it (default: preuves-ORDER.html).", metavar="FILE"),
    ] = None,
    checkpoints: stored.Log = None,
    database: stored.Database = "",
    closed: Annotated[bool, typer.Option("--closed", help="Leave personal data encrypted.")] = False,
) -> None:
    """Write all evidence of an order into one file that a judge can read in any browser, and verify without us."""
    from relance.evidence.examination import export as written

    if not stored.is_order(order):
        raise InputError(f"an order's id is a UUID, not {order[:80]!r}")
    dossier = stored.dossier(order, database, stored.checkpoint_log(checkpoints), opened=not closed)
    path = output or Path(f"preuves-{order}.html")
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # it names a person
            file.write(written(dossier))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    _say(f"{path}: {len(dossier.entries)} entries, {len(dossier.seals)} seals, {len(dossier.documents)} documents")
    _say(f"order {dossier.shop}/{dossier.placed or dossier.order}, head {dossier.head}")


def show(target: Target, checkpoints: stored.Log = None, database: stored.Database = "") -> None:
    """List the acts of an order: when, what, under which rule and article. Verifies nothing."""
    from relance.evidence.examination import read

    if stored.is_order(target):
        log = stored.checkpoint_log(checkpoints) if checkpoints is not None else ()
        dossier = stored.dossier(target, database, log, opened=True)
    else:
        dossier = read(_bytes(Path(target)))
    for entry, data in dossier.read():
        for line in _told(dossier, entry, data):
            _say(line)
    _say(f"order {dossier.shop}/{dossier.placed or dossier.order}, head {dossier.head}")


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
