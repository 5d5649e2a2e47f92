"""`relance checkout funnel`: how far shoppers came, as numbers that are about nobody."""

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from relance.cli.console import NOTES, OUT
from relance.kernel.errors import InputError

if TYPE_CHECKING:
    from relance.cli.visitors import Visitors

__all__ = ["funnel_lines", "show_funnel"]

At = Annotated[
    str, typer.Option(envvar="RELANCE_CHECKOUT_ADDRESS", help="gRPC of a checkout service.", metavar="HOST:PORT")
]
Token = Annotated[
    str, typer.Option(envvar="RELANCE_CHECKOUT_TOKEN", help="The shop's token.", show_default=False, show_envvar=True)
]
From = Annotated[str, typer.Option("--from", help="The first Paris date.", metavar="DATE")]
To = Annotated[str, typer.Option("--to", help="The last Paris date, itself included.", metavar="DATE")]
Kafka = Annotated[
    str, typer.Option(help="Count the visitors of the shop's pages there, as long as it keeps events; else those who "
                      "came to the checkout.", metavar="HOST:PORT")
]  # fmt: skip
_HERE: Final = "127.0.0.1:8083"
_FEW: Final = 10


def show_funnel(
    first: From,
    last: To,
    kafka: Kafka = "",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    token: Token = "",
    at: At = _HERE,
) -> None:
    """Show how far the shoppers of these days came: carts by step, failures, orders, conversion, abandonment.

    The days are those on which checkouts were begun; checkouts of one cart count once. Conversion is buyers by
    visitors: of the checkout, or with --kafka of the shop's pages. Abandonment is carts that were not ordered by carts.
    Example: relance checkout funnel --from 2026-11-01 --to 2026-11-30
    """
    from relance.cli.checkout_calls import Caller
    from relance.rpc.checkout.v1 import aftercare_pb2 as pb

    days: dict[str, Any] = {"from": _day("--from", first).isoformat(), "to": _day("--to", last).isoformat()}
    with Caller(at, token) as caller:
        found = caller.aftercare("GetFunnel", pb.GetFunnelRequest(**days))
        seen = _visitors(caller, kafka, first, last) if kafka else None
    if as_json:
        OUT.print_json(data=_plain(found, seen))
    else:
        for name, number, share in funnel_lines(found, seen):
            OUT.print(f"{name:<40}{number:>12}  {share}".rstrip(), markup=False, highlight=False)
    if 0 < found.carts < _FEW:
        NOTES.print(f"fewer than {_FEW} carts: a number may be about one person, and is for the shop alone")


def funnel_lines(found: Any, seen: "Visitors | None" = None) -> Iterator[tuple[str, str, str]]:
    """(what, how many, which share). `found`: aftercare_pb2.GetFunnelResponse; `seen`: visitors of the shop's pages."""
    yield "visitors of the checkout", f"{found.visitors}", ""
    if seen is not None:
        yield "visitors of the shop's pages", f"{seen.number}", f"since {seen.since} only" if seen.since else ""
    for step in found.steps:
        yield f"carts: {step.name}", f"{step.carts}", _percent(step.carts / found.carts if found.carts else None)
    for category, count in sorted(found.failures.items()):
        yield f"payments failed: {category}"[:40], f"{count}", ""
    yield "orders", f"{found.orders}", ""
    yield "orders paid", f"{found.completed}", ""
    yield "buyers", f"{found.buyers}", ""
    yield "revenue, EUR", f"{found.revenue_minor / 100:.2f}", ""
    if seen is None:
        share = found.conversion if found.HasField("conversion") else None
        yield "conversion", _percent(share), "of the checkout's visitors"
    else:
        yield "conversion", _percent(_conversion(found, seen)), "of the shop's visitors"
    yield "abandonment", _percent(found.abandonment if found.HasField("abandonment") else None), "of carts"


def _conversion(found: Any, seen: "Visitors") -> float | None:
    """Buyers by visitors of the shop's pages; None where the log lacks a part of the time."""
    return found.buyers / seen.number if seen.number and not seen.since else None


def _visitors(caller: Any, kafka: str, first: str, last: str) -> "Visitors":
    import json

    from relance.cli.visitors import count_visitors
    from relance.rpc.checkout.v1 import checkout_pb2

    shop = json.loads(caller.call("GetShop", checkout_pb2.GetShopRequest()).shop)["id"]
    with NOTES.status("counting visitors …"):
        return count_visitors(kafka, shop, date.fromisoformat(first), date.fromisoformat(last))


def _plain(found: Any, seen: "Visitors | None") -> dict[str, Any]:
    from google.protobuf.json_format import MessageToDict

    told: dict[str, Any] = MessageToDict(
        found, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    told["revenue_minor"] = found.revenue_minor
    if seen is not None:
        told["shop_visitors"], told["shop_visitors_since"] = seen.number, seen.since or None
        told["shop_conversion"] = _conversion(found, seen)
    return told


def _day(option: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{option}: not a date such as 2026-11-22: {text[:40]!r}") from None


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
