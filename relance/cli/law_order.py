"""`relance law explain ORDER`: the rules that were applied to an order, with their articles, from its evidence."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from relance.cli.console import OUT

if TYPE_CHECKING:
    from relance.evidence.entries import Entry, RuleRef
    from relance.rules.law.book import Book

__all__ = ["explain_order"]


def explain_order(order: str, database: str) -> None:
    """Print each rule that an order's evidence names: what it demands, where it stands, and which acts served it."""
    from relance.cli.evidence_stored import dossier as stored
    from relance.rules.law.book import default_book

    dossier = stored(order, database, (), opened=False)
    acts: dict[tuple[str, int], list[Entry]] = {}
    refs: dict[tuple[str, int], RuleRef] = {}
    for entry, _ in dossier.read():
        for rule in entry.rules:
            acts.setdefault((rule.id, rule.version), []).append(entry)
            refs.setdefault((rule.id, rule.version), rule)
    _say(f"order {dossier.shop}/{dossier.placed or dossier.order}: {len(refs)} rules, {len(dossier.entries)} acts")
    book = default_book()
    for place in sorted(refs):
        for line in _told(refs[place], acts[place], book):
            _say(line)
    without = [entry for entry, _ in dossier.read() if not entry.rules]
    if without:
        _say(f"{len(without)} acts were recorded under no rule: see `relance evidence show {order}`")


def _told(ref: "RuleRef", acts: "list[Entry]", book: "Book") -> Iterator[str]:
    from relance.evidence.page import paris_time

    yield ""
    known = [rule for rule in book.all() if rule.id == ref.id and rule.version == ref.version]
    if known:
        rule = known[0]
        yield f"{ref.id} {rule.title} (version {ref.version}, {rule.severity}) : {ref.article}"
        yield f"   {rule.statement}"
        yield from (f"   source: {source.code}, {source.article} <{source.url}>" for source in rule.sources)
    else:
        yield f"{ref.id} (version {ref.version}, which this book of law does not hold) : {ref.article}"
    for entry in acts:
        yield f"   {paris_time(entry.at_ms)}  act {entry.seq}, {entry.act}: {entry.what}{_bytes_of(entry)}"


def _bytes_of(entry: "Entry") -> str:
    document = entry.document
    if document is None:
        return ""
    name = document.sha256 or (document.sealed.commitment if document.sealed is not None else "")
    return f" ({document.media_type}, {document.size_bytes} bytes, {name[:16]}…)"


def _say(line: str) -> None:
    """What evidence says is not for the terminal to obey: signs that are not printed are written as escapes."""
    OUT.print("".join(each if each.isprintable() else ascii(each)[1:-1] for each in line), markup=False)
