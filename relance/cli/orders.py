"""`relance orders`: what follows orders: what is owed and by when, what is late and what that costs, who withdrew."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

import typer

from relance.cli.console import NOTES, OUT
from relance.cli.orders_day import run_day
from relance.cli.orders_export import export
from relance.cli.orders_told import (
    acknowledged,
    claim_lines,
    delivery_lines,
    due_lines,
    instant,
    late_lines,
    readings,
    withdrawal_lines,
)  # fmt: skip
from relance.kernel.errors import InputError

if TYPE_CHECKING:
    from relance.rules.law.book import Rule

__all__ = ["register"]

At = Annotated[
    str, typer.Option(envvar="RELANCE_CHECKOUT_ADDRESS", help="gRPC of a checkout service.", metavar="HOST:PORT")
]
Token = Annotated[
    str, typer.Option(envvar="RELANCE_CHECKOUT_TOKEN", help="The shop's token.", show_default=False, show_envvar=True)
]
On = Annotated[str, typer.Option(help="As of this Paris date; today when left out.", metavar="DATE")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object per line; `list` names its kind.")]
_HERE: Final = "127.0.0.1:8083"
_PAGE: Final = 100
_INDENT: Final = 6
_EXAMPLES: Final = """Examples:

  relance orders due                     owed within three days, or waiting for goods

  relance orders due --all --json        all that is open, for a program

  relance orders late                    what is late, and what that costs today

  relance orders late --on 2026-12-24    as it will stand then, if nothing moves

  relance orders withdrawals --open      what waits for an answer or for goods

  relance orders export demo --from 2026-11-01 --to 2026-11-30 > november.csv

  relance orders run-day                 do what is due now, in your own hour
"""


def register(program: typer.Typer) -> None:
    """Add the group to the program."""
    group = typer.Typer(
        no_args_is_help=True, rich_markup_mode=None, epilog=_EXAMPLES,
        help="What follows orders: money owed, lateness, withdrawals.",
    )  # fmt: skip
    group.command("due")(list_due)
    group.command("late")(list_late)
    group.command("withdrawals")(list_withdrawals)
    group.command("export")(export)
    group.command("run-day")(run_day)
    program.add_typer(group, name="orders")


def list_due(
    within: Annotated[int, typer.Option(min=0, max=3_650, help="Due within so many days; 0: the shop's own.")] = 3,
    every: Annotated[bool, typer.Option("--all", help="All that is open, whenever it is due.")] = False,
    on: On = "",
    as_json: AsJson = False,
    token: Token = "",
    at: At = _HERE,
) -> None:
    """List what is owed soon, oldest date first; then what waits for goods to come back.

    Each sum says how its date comes about, what becomes of its refund, and what it would cost from when if it were
    late. A sum that waits has no date yet: the law lets it wait for the goods, or for the proof that they were sent.
    What is late already stands in `relance orders late`.
    """
    from relance.rpc.checkout.v1 import aftercare_pb2 as pb

    day = _day(on)
    states = {"waiting", "soon", "open"} if every else {"waiting", "soon"}
    asked = pb.ListDuesRequest(state="open", within_days=within, on=on, page_size=_PAGE)
    with _Lists(at, token, as_json=as_json) as lists:
        found = (one for one in lists.of("ListDues", asked, "dues") if one.state in states)
        lists.show("due", found, lambda one: due_lines(one, lists.order(one.order_id), day))
    if not (lists.shown or as_json):
        OUT.print(f"nothing is owed {'' if every else f'within {within} days ' if within else 'soon '}of {day}")


def list_late(on: On = "", as_json: AsJson = False, token: Token = "", at: At = _HERE) -> None:
    """List what is late: money that is owed, deliveries, guarantee claims.

    Of money: the day of lateness, the bracket of its tariff with the article, what it costs today, at most, and from
    when it costs more; and why it has not gone. Of deliveries: since when, and what the consumer may do now. With
    --on money stands as on that day; deliveries are those that are late already, and claims are left out.
    """
    from relance.rpc.checkout.v1 import aftercare_pb2 as pb

    day = _day(on)
    law, dues = _law(day), []

    def told(one: Any) -> Iterator[str]:
        dues.append(one)
        return late_lines(one, lists.order(one.order_id), day)

    with _Lists(at, token, as_json=as_json) as lists:
        lists.show("late", lists.of("ListDues", pb.ListDuesRequest(state="late", on=on, page_size=_PAGE), "dues"), told)
        instant = f"{on}T12:00:00+00:00" if on else ""
        deliveries = pb.ListLateDeliveriesRequest(at=instant, page_size=_PAGE)
        lists.show(
            "delivery", lists.of("ListLateDeliveries", deliveries, "orders"),
            lambda one: delivery_lines(one, lists.order(one.order_id), law, day),
        )  # fmt: skip
        if not on:  # claims are known as of today alone
            claims = lists.of("ListClaims", pb.ListClaimsRequest(state="late", page_size=_PAGE), "claims")
            lists.show("claim", claims, lambda one: claim_lines(one, lists.order(one.order_id), law))
    for rule in sorted(readings(dues)) if not as_json else ():
        _tell(f"{rule}, reading U: its text leaves something open, and we read it so: {law[rule].statement}")
    if not (lists.shown or as_json):
        OUT.print(f"nothing is late on {day}: no money, no delivery, no claim")


def list_withdrawals(
    open_only: Annotated[
        bool, typer.Option("--open", help="Those not acknowledged yet, or whose goods are waited for.")
    ] = False,
    as_json: AsJson = False,
    token: Token = "",
    at: At = _HERE,
) -> None:
    """List statements of withdrawal with what each achieves, and those for which no order was found.

    MatchWithdrawal tells which order a statement is about that named none.
    """
    from relance.rpc.checkout.v1 import aftercare_pb2 as pb

    def asked(state: str) -> Any:
        return pb.ListWithdrawalsRequest(state=state, page_size=_PAGE)

    with _Lists(at, token, as_json=as_json) as lists:
        found = lists.of("ListWithdrawals", asked("open" if open_only else "all"), "withdrawals")
        lists.show("withdrawal", found, lambda one: withdrawal_lines(one, lists.order(one.order_id)))
        lists.show("stray", lists.of("ListWithdrawals", asked("stray"), "strays"), _stray_lines)
    if not (lists.shown or as_json):
        OUT.print("no withdrawal waits for anything" if open_only else "nobody has withdrawn")


class _Lists:
    """Lists that are read page by page and shown as they come. While they go to a file, a terminal counts them."""

    def __init__(self, at: str, token: str, *, as_json: bool) -> None:
        from relance.cli.checkout_calls import Caller

        self._caller = Caller(at, token)
        self._as_json = as_json
        self._orders: dict[str, Any] = {}
        self.shown = 0
        quiet = OUT.is_terminal or not NOTES.is_terminal
        self._status: AbstractContextManager[Any] = nullcontext() if quiet else NOTES.status("asking…")
        self._counts: Any = None

    def __enter__(self) -> Self:
        self._caller.__enter__()
        self._counts = self._status.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._status.__exit__(None, None, None)
        self._caller.__exit__(*error)

    def of(self, method: str, asked: Any, field: str) -> Iterator[Any]:
        """All that a list holds."""
        while True:
            page = self._caller.aftercare(method, asked)
            yield from getattr(page, field)
            if not page.next_page_token:
                return
            asked.page_token = page.next_page_token

    def order(self, order_id: str) -> Any:
        """The order that something is about."""
        from relance.rpc.checkout.v1 import checkout_pb2

        if order_id not in self._orders:
            asked = checkout_pb2.GetOrderRequest(order_id=order_id)
            self._orders[order_id] = self._caller.call("GetOrder", asked).order
        return self._orders[order_id]

    def show(self, kind: str, found: Iterable[Any], lines: Any) -> None:
        """Print all of them: JSON by itself, words by `lines`."""
        for one in found:
            self.shown += 1
            if self._counts is not None and not self.shown % 10:
                self._counts.update(f"{self.shown:,} read")
            if self._as_json:
                OUT.print(_json(kind, one), markup=False, soft_wrap=True, highlight=False)
                continue
            for line in lines(one):
                _tell(line)


def _stray_lines(stray: Any) -> Iterator[str]:
    named = f"; names order {stray.candidate[:8]}" if stray.candidate else ""
    yield f"{stray.about} of {instant(stray.stated_at)} by web, of no order that is known; {acknowledged(stray)}"
    about = "MatchWithdrawal says which order it is about, or that it is about none"
    if stray.about == "termination":
        about = "MatchTermination says which contract it ends; MatchWithdrawal closes it"
    yield f"   stray {stray.stray_id}{named}: {about}"
    yield f"   {stray.name}, {stray.address}: {stray.reference} {stray.words}".rstrip()


def _tell(line: str) -> None:
    """One line; on a terminal it is broken between words, and what goes on is indented."""
    import textwrap

    if not OUT.is_terminal:
        OUT.print(line, markup=False, soft_wrap=True)
        return
    begin = len(line) - len(line.lstrip())
    wrapped = textwrap.wrap(
        line, OUT.width, subsequent_indent=" " * max(begin + 3, _INDENT), break_long_words=False, break_on_hyphens=False
    )  # fmt: skip
    OUT.print("\n".join(wrapped), markup=False, style="" if begin else "bold")


def _json(kind: str, found: Any) -> str:
    import json

    from google.protobuf.json_format import MessageToDict

    plain = MessageToDict(found, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    told = {field.name: plain[field.name] for field in found.DESCRIPTOR.fields if field.name in plain}
    return json.dumps({"list": kind} | _numbers(told), ensure_ascii=False)


def _numbers(plain: Any, name: str = "") -> Any:
    """Sums as numbers: protobuf's JSON has text for what may exceed 2^53, which no sum here does."""
    if isinstance(plain, dict):
        return {key: _numbers(value, name if name.endswith("_minor") else key) for key, value in plain.items()}
    if isinstance(plain, list):
        return [_numbers(value, name) for value in plain]
    return int(plain) if isinstance(plain, str) and (name == "minor" or name.endswith("_minor")) else plain


def _day(on: str) -> str:
    """The day of a list."""
    from datetime import UTC, datetime

    from relance.rules.law.calendar import paris_date

    if not on:
        return paris_date(datetime.now(UTC)).isoformat()
    try:
        return date.fromisoformat(on).isoformat()
    except ValueError:
        raise InputError(f"--on: not a date such as 2026-11-22: {on[:40]!r}") from None


def _law(day: str) -> "Mapping[str, Rule]":
    from relance.rules.law.book import default_book

    return default_book().on(date.fromisoformat(day))
