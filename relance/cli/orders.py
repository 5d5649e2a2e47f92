"""`relance orders`: what follows orders: what is owed and by when, what is late and what that costs, who withdrew."""

from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer

from relance.cli.console import OUT
from relance.cli.orders_export import export

__all__ = ["due_row", "late_lines", "register", "withdrawal_lines"]

At = Annotated[
    str, typer.Option(envvar="RELANCE_CHECKOUT_ADDRESS", help="gRPC of a checkout service.", metavar="HOST:PORT")
]
Token = Annotated[
    str, typer.Option(envvar="RELANCE_CHECKOUT_TOKEN", help="The shop's token.", show_default=False, show_envvar=True)
]
On = Annotated[str, typer.Option(help="As of this Paris date; today when left out.", metavar="DATE")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object per line.")]
_HERE: Final = "127.0.0.1:8083"
_PAGE: Final = 100
_HEADINGS: Final = ("order", "due on", "in", "regime", "owed", "parts", "why")


def register(program: typer.Typer) -> None:
    """Add the group to the program."""
    group = typer.Typer(no_args_is_help=True, help="What follows orders: money owed, lateness, withdrawals.")
    group.command("due")(list_due)
    group.command("late")(list_late)
    group.command("withdrawals")(list_withdrawals)
    group.command()(export)
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

    A sum that waits has no date yet: the law lets it wait for the goods, or for the proof that they were sent.
    """
    from rich.table import Table

    from relance.rpc.checkout.v1 import aftercare_pb2 as pb

    asked = pb.ListDuesRequest(state="open", within_days=within, on=on, page_size=_PAGE)
    states = {"waiting", "soon", "open"} if every else {"waiting", "soon"}
    found = [one for one in _pages(at, token, "ListDues", asked, "dues") if one.state in states]
    if as_json:
        _print_json(found)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right" if heading == "owed" else "left")
    for one in found:
        table.add_row(*due_row(one, on))
    OUT.print(table if found else "nothing is owed soon")


def list_late(on: On = "", as_json: AsJson = False, token: Token = "", at: At = _HERE) -> None:
    """List what is owed past its date, what that costs today and from when it costs more, and why it has not gone."""
    from relance.cli.checkout_calls import Caller
    from relance.rpc.checkout.v1 import aftercare_pb2 as pb
    from relance.rpc.checkout.v1 import checkout_pb2

    asked = pb.ListDuesRequest(state="late", on=on, page_size=_PAGE)
    found = list(_pages(at, token, "ListDues", asked, "dues"))
    if as_json:
        _print_json(found)
        return
    orders = {
        id_: Caller(at, token).call("GetOrder", checkout_pb2.GetOrderRequest(order_id=id_)).order
        for id_ in sorted({one.order_id for one in found})
    }
    for one in found:
        for line in late_lines(one, orders[one.order_id].refunds, on):
            OUT.print(line, markup=False, soft_wrap=True)
    if not found:
        OUT.print("nothing is late")


def list_withdrawals(
    open_only: Annotated[
        bool, typer.Option("--open", help="Those not acknowledged yet, or whose goods are waited for.")
    ] = False,
    as_json: AsJson = False,
    token: Token = "",
    at: At = _HERE,
) -> None:
    """List statements of withdrawal with what each achieves, and those for which no order was found."""
    from relance.rpc.checkout.v1 import aftercare_pb2 as pb

    def asked(state: str) -> Any:
        return pb.ListWithdrawalsRequest(state=state, page_size=_PAGE)

    found = list(_pages(at, token, "ListWithdrawals", asked("open" if open_only else "all"), "withdrawals"))
    strays = list(_pages(at, token, "ListWithdrawals", asked("stray"), "strays"))
    if as_json:
        _print_json([*found, *strays])
        return
    for one in found:
        for line in withdrawal_lines(one):
            OUT.print(line, markup=False, soft_wrap=True)
    for stray in strays:
        named = f"; names order {stray.candidate[:8]}" if stray.candidate else ""
        told = _told(stray.acknowledged_at)
        what = f"{stray.stated_at}  web  no order  {stray.stray_id}, {stray.about}{named}; {told}"
        OUT.print(what, markup=False, soft_wrap=True)
        OUT.print(f"   {stray.name}, {stray.address}: {stray.reference} {stray.words}".rstrip(), markup=False)
    if not (found or strays):
        OUT.print("no withdrawal")


def due_row(due: Any, on: str = "") -> tuple[str, ...]:
    """A sum as a row of the list. `due`: aftercare_pb2.Due; `on`: the day of the list."""
    parts = f"goods {_plain(due.goods_minor)} delivery {_plain(due.delivery_minor)}"
    if due.service_kept_minor:
        parts += f", {_plain(due.service_kept_minor)} kept for service used"
    if due.by_hand:
        parts += ", by hand"
    days = f"{_days(on, due.due_on)} d" if due.due_on else "-"
    return (
        due.order_id[:8], due.due_on or "waiting", days, due.regime, _money(due.open_minor), parts, due.why
    )  # fmt: skip


def late_lines(due: Any, refunds: Any, on: str = "") -> Iterator[str]:
    """A sum that is late: what it costs, the next step, and what became of its refunds. `on`: the day of the list."""
    owed = _money(due.open_minor) if due.open_minor else "paid"
    yield "  ".join(
        (due.order_id[:8], due.due_on, f"{due.late_days} d late", due.regime, owed, _cost(due, on or _today()))
    )  # fmt: skip
    for number, one in enumerate((one for one in refunds if one.id in due.refund_ids), start=1):
        if one.state == "failed":
            way = "agree on another way, RedirectRefund (L221-24 al. 3)"
            yield f"   refund {number} failed on {one.failed_at[:10]} ({one.reason or 'no reason given'}): {way}"
        elif one.by_hand and one.state != "succeeded":
            yield f"   refund {number} goes by hand: send it, then `relance checkout refunds settle`"
    if not due.refund_ids and due.open_minor:
        yield "   no refund was asked for: PayDue asks for it, or records what was paid by hand"


def withdrawal_lines(one: Any) -> Iterator[str]:
    """A statement with what it achieves. `one`: aftercare_pb2.Withdrawal."""
    statement = one.statement
    waits = "; goods are waited for" if one.awaits_goods else ""
    told = _told(statement.acknowledged_at)
    yield f"{statement.received_at}  {statement.channel}  {one.order_id[:8]}  {statement.statement_id}; {told}{waits}"
    for decision in statement.decisions:
        article = f" ({', '.join(filter(None, (decision.article, decision.rule)))})" if decision.article else ""
        last = f", last day {decision.last_day}" if decision.last_day else ""
        said = f"{decision.units} x line {decision.line_id} {decision.outcome}{last}: {decision.reason}{article}"
        yield f"   {said}"
    for name, on in (("goods back", statement.returned_on), ("dispatch proven", statement.dispatched_on)):
        if on:
            yield f"   {name} {on}"


def _cost(due: Any, on: str) -> str:
    cited = ", ".join(filter(None, (due.article, due.rule)))
    reading = ", reading U" if due.reading == "U" else ""
    if not due.surcharge_known:
        return f"surcharge unknown: {due.missing} ({cited}{reading})"
    rate = "legal rate" if due.percent == "legal" else f"{due.percent} %"
    said = f"surcharge today {_money(due.surcharge_minor)}  {rate} ({cited}{reading})"
    following = next((step for step in due.forecast if step.from_on > on), None)
    if following is None:
        return said
    costs = _money(following.surcharge_minor) if following.surcharge_known else "unknown"
    dearer = "legal rate" if following.percent == "legal" else f"{following.percent} %"
    return f"{said}; from {following.from_on}: {dearer}, {costs}"


def _told(acknowledged_at: str) -> str:
    return f"acknowledged {acknowledged_at}" if acknowledged_at else "NOT ACKNOWLEDGED YET"


def _pages(at: str, token: str, method: str, asked: Any, field: str) -> Iterator[Any]:
    """All that a list holds, page by page."""
    from relance.cli.checkout_calls import Caller

    caller = Caller(at, token)
    while True:
        page = caller.aftercare(method, asked)
        yield from getattr(page, field)
        if not page.next_page_token:
            return
        asked.page_token = page.next_page_token


def _print_json(found: list[Any]) -> None:
    import json

    from google.protobuf.json_format import MessageToDict

    for one in found:
        plain = MessageToDict(one, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
        OUT.print(json.dumps(plain, ensure_ascii=False), markup=False, soft_wrap=True, highlight=False)


def _days(on: str, due_on: str) -> int:
    from datetime import date

    return (date.fromisoformat(due_on) - date.fromisoformat(on or _today())).days


def _today() -> str:
    from datetime import UTC, datetime

    from relance.rules.law.calendar import paris_date

    return paris_date(datetime.now(UTC)).isoformat()


def _plain(minor: int) -> str:
    return f"{minor / 100:.2f}"


def _money(minor: int) -> str:
    return f"{_plain(minor)} EUR"
