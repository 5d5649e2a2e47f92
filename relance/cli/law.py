"""`relance law`: what the law asks of a checkout, and what follows from an act."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from relance.cli import law_ask
from relance.cli.console import NOTES, OUT
from relance.cli.evidence_stored import Database, is_order
from relance.cli.law_order import explain_order
from relance.kernel.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from relance.rules.law.book import Rule
    from relance.rules.law.cases import Case
    from relance.rules.law.verdict import Finding
    from services.checkout.domain.outcomes import Refusal

__all__ = ["register"]

CASES: Final = Path(__file__).parents[2] / "tests" / "rules"
COLOURS: Final = {"block": "red", "warn": "yellow", "out": "dim"}

On = Annotated[
    datetime | None,
    typer.Option("--on", formats=["%Y-%m-%d"], metavar="DATE", help="The law of this day (default: today in Paris)."),
]


def register(program: typer.Typer) -> None:
    """Add the group to the program."""
    law = typer.Typer(no_args_is_help=True, help="The law: its rules by date, checks of a checkout, and answers.")
    law.command("list")(list_rules)
    law.command()(explain)
    law.command()(check)
    law.command()(coverage)
    law_ask.register(law)
    program.add_typer(law, name="law")


def list_rules(
    on: On = None,
    severity: Annotated[str, typer.Option(help="Only these: block, warn or out.", metavar="SEVERITY")] = "",
) -> None:
    """List the rules in force on a day."""
    from relance.rules.law.book import default_book

    if severity and severity not in COLOURS:
        raise InputError(f"--severity is one of {', '.join(COLOURS)}, not {severity!r}")
    day = _day(on)
    rules = [rule for rule in default_book().on(day).values() if severity in {"", rule.severity}]
    table = _table("id", "version", "severity", "applies by", "from", "article", "title")
    for rule in rules:
        table.add_row(
            rule.id, str(rule.version), _coloured(rule.severity), rule.applies_by, str(rule.valid_from), rule.article,
            rule.title,
        )  # fmt: skip
    OUT.print(table)
    counts = {name: sum(rule.severity == name for rule in rules) for name in COLOURS}
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "no rule"
    OUT.print(f"the law on {day}: {said}")


def explain(
    rule: Annotated[str, typer.Argument(metavar="ID|ORDER", help="A rule, for example B01; or an order's id.")],
    on: On = None,
    database: Database = "",
) -> None:
    """Say what a rule demands, from when on, and where it stands in the law; of an order, which rules were applied."""
    if is_order(rule):
        explain_order(rule, database)
        return
    from relance.rules.law.book import default_book
    from relance.rules.law.verdict import explain as explained

    book = default_book()
    _show(explained(rule.upper(), _day(on)))
    others = [version for version in book.versions(rule.upper()) if not version.in_force(_day(on))]
    for version in others:
        until = f" until {version.valid_to}" if version.valid_to else ""
        OUT.print(f"also: version {version.version}, from {version.valid_from}{until}", markup=False)


def _show(rule: "Rule") -> None:
    from rich.markup import escape

    from relance.cli.law_words import KNOWN, in_words

    OUT.print(f"[bold]{rule.id}[/] {escape(rule.title)} (version {rule.version}, {_coloured(rule.severity)})")
    OUT.print(rule.statement, markup=False)
    dated = "" if rule.dated == "read" else ", a date that was not read in a text"
    until = f" to {rule.valid_to}, exclusive" if rule.valid_to else ""
    OUT.print(f"in force: from {rule.valid_from}{until}{dated}; by the date of the {rule.applies_by}", markup=False)
    for source in rule.sources:
        OUT.print(f"source: {source.code}, {source.article} <{source.url}>", markup=False)
    reading = "settled" if rule.reading == "settled" else "unsettled: put it to counsel"
    OUT.print(f"evidence: {KNOWN[rule.evidence]}; reading: {reading}", markup=False)
    if rule.reason:
        OUT.print(f"out: {rule.reason}", markup=False)
    if rule.consequence:
        OUT.print(f"consequence: {rule.consequence}", markup=False)
    for name, value in rule.parameters.items():
        OUT.print(f"{name.replace('_', ' ')}: {in_words(value)} ({rule.parameter_articles[name]})", markup=False)
    for name, wording in rule.wordings.items():
        pinned = f"sha256 {wording.sha256}" if wording.sha256 else "the shop's counsel fills it, see docs/law.md"
        OUT.print(f"wording {rule.id}.{name}: {wording.article}; {wording.source}; {pinned}", markup=False)
        if wording.text is not None:
            OUT.print("".join(f"  | {line}\n" for line in wording.text.splitlines()), markup=False, end="")


def check(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="A checkout document (JSON), - is standard input; without it the shops that are stored.",
        ),
    ] = None,
    on: On = None,
    shop: Annotated[str, typer.Option(help="Of the shops that are stored, only this one.", metavar="ID")] = "",
    order: Annotated[str, typer.Option(help="Not shops: this order, with all that was done since.", metavar="ID")] = "",
    database: Database = "",
) -> None:
    """Hold a checkout, every stored shop, or a stored order against the law of a day; a day to come shows what will
    block, and of an order what becomes late. Exit code 1 when blocked.
    """
    if order:
        _check_order(on, order, database)
        return
    if file is None:
        _check_shops(on, shop, database)
        return
    from relance.rules.law.book import default_book
    from relance.rules.law.document import decode
    from relance.rules.law.verdict import check as verdict_on

    document = decode(_read(file))
    day = on.date() if on is not None else None
    verdict = verdict_on(document, default_book(), day)
    held = day or _paris(document.at)
    if not _told(f"under the law of {held}", verdict.blockers, verdict.warnings):
        raise typer.Exit(1)


def _check_order(on: datetime | None, order: str, database: str) -> None:
    from relance.cli.law_orders import stored_order
    from relance.rules.law.book import default_book
    from relance.rules.law.calendar import first_instant_after
    from relance.rules.law.verdict import check as verdict_on

    at = datetime.now(UTC) if on is None else first_instant_after(on.date()) - timedelta(seconds=1)
    verdict = verdict_on(stored_order(database, order, at), default_book())
    when = "now" if on is None else f"at the end of {on.date()}"
    if not _told(f"order {order}, {when}", verdict.blockers, verdict.warnings):
        raise typer.Exit(1)


def _check_shops(on: datetime | None, shop: str, database: str) -> None:
    from relance.cli.law_shops import stored_shops

    day = _day(on)
    found = stored_shops(database, shop, day)
    told = []
    for one in found:
        OUT.print(f"[bold]shop {one.shop}[/]")
        told.append(_told(f"shop {one.shop}, under the law of {day}", one.blockers, one.warnings))
    if len(found) != 1:
        OUT.print(f"{len(found)} shops: {told.count(False)} blocked under the law of {day}")
    if not all(told):
        raise typer.Exit(1)


def _told(what: str, blockers: "Sequence[Finding | Refusal]", warnings: "Sequence[Finding | Refusal]") -> bool:
    """Print what was found; whether it is allowed."""
    _findings("blocks", blockers)
    _findings("warns", warnings)
    said = "[red]blocked[/]" if blockers else "[green]allowed[/]"
    OUT.print(f"{said} {what}: {_count(blockers, 'blocker')}, {_count(warnings, 'warning')}")
    return not blockers


def _count(found: "Sequence[object]", noun: str) -> str:
    return f"{len(found)} {noun}{'' if len(found) == 1 else 's'}"


def _findings(title: str, findings: "Sequence[Finding | Refusal]") -> None:
    from rich.markup import escape

    if not findings:
        return
    OUT.print(f"[bold]{title}[/]")
    table = _table("rule", "article", "field", "reason")
    for found in findings:
        table.add_row(found.rule, escape(found.article), escape(found.field), escape(found.reason))
    OUT.print(table)


def coverage(
    only: Annotated[str, typer.Argument(metavar="ID", help="One rule: its cases in words.")] = "",
    cases: Annotated[Path, typer.Option(help="Where the cases lie.", metavar="DIR")] = CASES,
) -> None:
    """List every rule with its severity, the reason when it is out, and its cases. Exit code 1 on a gap."""
    from rich.markup import escape

    from relance.rules.law.book import default_book
    from relance.rules.law.cases import coverage as covered

    entries = covered(default_book(), _cases(cases))
    if only:
        entries = [entry for entry in entries if entry.rule.id == only.upper()]
        if not entries:
            raise InputError(f"there is no rule {only!r}")
    table = _table("id", "severity", "title", "passing", "failing", "reason or gap")
    for entry in entries:
        rule = entry.rule
        said = f"[red]{escape(entry.gap)}[/]" if entry.gap else escape(rule.reason)
        counts = ("-", "-") if rule.severity == "out" else (str(len(entry.passing)), str(len(entry.failing)))
        table.add_row(rule.id, _coloured(rule.severity), escape(rule.title), *counts, said)
    OUT.print(table)
    for case in (*entries[0].passing, *entries[0].failing) if only else ():
        OUT.print(f"{'passes' if case.passing else 'fails'}: {case.title}", markup=False)
    if not only:
        by_severity = {name: sum(entry.rule.severity == name for entry in entries) for name in COLOURS}
        OUT.print(f"{len(entries)} rules: " + ", ".join(f"{count} {name}" for name, count in by_severity.items()))
    gaps = [entry.rule.id for entry in entries if entry.gap]
    if gaps:
        NOTES.print(f"[bold red]gap[/]: {', '.join(gaps)}")
        raise typer.Exit(1)


def _cases(directory: Path) -> "list[Case]":
    """The cases of a directory, each of them run: one that finds something else is no cover."""
    from relance.rules.law.book import default_book
    from relance.rules.law.cases import read_bases, read_cases, run

    book = default_book()
    bases = read_bases(_read(directory / "bases.yaml"), str(directory / "bases.yaml"), book)
    found = []
    for path in sorted(directory.glob("*.yaml")):
        for case in read_cases(_read(path), str(path), book) if path.name != "bases.yaml" else ():
            _, verdict = run(case, bases, book)
            rules = {finding.rule for finding in (*verdict.blockers, *verdict.warnings)}
            if rules != case.finds:
                said = (
                    f"finds {', '.join(sorted(rules)) or 'nothing'}, not {', '.join(sorted(case.finds)) or 'nothing'}"
                )
                NOTES.print(f"[red]wrong[/]: {case.place}: {case.rule}: {said}")
            else:
                found.append(case)
    return found


def _table(*headings: str) -> "Table":
    """Columns that fold rather than cut: a field or an article is never shown in part."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold", no_wrap=heading in {"id", "rule", "severity", "version", "from"})
    return table


def _read(path: Path) -> str:
    try:
        return typer.get_text_stream("stdin").read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error


def _day(on: datetime | None) -> date:
    from datetime import UTC

    return on.date() if on is not None else _paris(datetime.now(UTC))


def _paris(at: datetime) -> date:
    from relance.rules.law.calendar import paris_date

    return paris_date(at)


def _coloured(severity: str) -> str:
    return f"[{COLOURS[severity]}]{severity}[/]"
