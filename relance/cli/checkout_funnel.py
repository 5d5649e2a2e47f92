"""`relance checkout funnel`: how far shoppers came, as numbers that are about nobody."""

from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer

from relance.cli.console import OUT

__all__ = ["funnel_lines", "show_funnel"]

At = Annotated[
    str, typer.Option(envvar="RELANCE_CHECKOUT_ADDRESS", help="gRPC of a checkout service.", metavar="HOST:PORT")
]
Token = Annotated[
    str, typer.Option(envvar="RELANCE_CHECKOUT_TOKEN", help="The shop's token.", show_default=False, show_envvar=True)
]
From = Annotated[str, typer.Option("--from", help="The first Paris date.", metavar="DATE")]
To = Annotated[str, typer.Option("--to", help="The last Paris date, in.", metavar="DATE")]
_HERE: Final = "127.0.0.1:8083"


def show_funnel(
    first: From,
    last: To,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    token: Token = "",
    at: At = _HERE,
) -> None:
    """Show how far the shoppers of these days came: carts by step, failures, orders, conversion, abandonment.

    Visitors are those who came to the checkout. Checkouts of one cart count once.
    """
    from relance.cli.checkout_calls import Caller
    from relance.rpc.checkout.v1 import aftercare_pb2 as pb

    days: dict[str, Any] = {"from": first, "to": last}
    found = Caller(at, token).aftercare("GetFunnel", pb.GetFunnelRequest(**days))
    if as_json:
        from google.protobuf.json_format import MessageToJson

        told = MessageToJson(found, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
        OUT.print_json(told)
        return
    for name, number, share in funnel_lines(found):
        OUT.print(f"{name:<24}{number:>12}  {share}".rstrip(), markup=False, highlight=False)


def funnel_lines(found: Any) -> Iterator[tuple[str, str, str]]:
    """(what, how many, which share of the carts). `found`: aftercare_pb2.GetFunnelResponse."""
    yield "visitors", f"{found.visitors}", ""
    for step in found.steps:
        yield f"carts: {step.name}", f"{step.carts}", _percent(step.carts / found.carts if found.carts else None)
    for category, count in sorted(found.failures.items()):
        yield f"payments failed: {category}"[:40], f"{count}", ""
    yield "orders", f"{found.orders}", ""
    yield "orders paid", f"{found.completed}", ""
    yield "buyers", f"{found.buyers}", ""
    yield "revenue, EUR", f"{found.revenue_minor / 100:.2f}", ""
    yield "conversion", _percent(found.conversion if found.HasField("conversion") else None), "of visitors"
    yield "abandonment", _percent(found.abandonment if found.HasField("abandonment") else None), "of carts"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
