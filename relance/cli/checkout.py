"""`relance checkout`: what a shop sells, its tokens and its orders, told to the checkout service over gRPC."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from relance.cli.checkout_check import check_shop_file
from relance.cli.checkout_funnel import show_funnel
from relance.cli.checkout_outbox import list_outbox, retry_outbox
from relance.cli.checkout_refunds import list_refunds, redirect_refund, retry_refund, settle_refund
from relance.cli.console import NOTES, OUT

__all__ = ["register"]

At = Annotated[
    str, typer.Option(envvar="RELANCE_CHECKOUT_ADDRESS", help="gRPC of a checkout service.", metavar="HOST:PORT")
]
Token = Annotated[
    str, typer.Option(envvar="RELANCE_CHECKOUT_TOKEN", help="The shop's token.", show_default=False, show_envvar=True)
]
File = Annotated[Path, typer.Argument(help="YAML or JSON.", metavar="FILE")]
_HERE: Final = "127.0.0.1:8083"


def register(program: typer.Typer) -> None:
    """Add the group to the program."""
    group = typer.Typer(no_args_is_help=True, help="The checkout: a shop's facts, articles, prices, tokens, orders.")
    _sub(group, "shop", "The shop's facts: who trades, legal pages, delivery, payment.", check=check_shop_file,
         put=put_shop, show=show_shop)  # fmt: skip
    _sub(group, "articles", "What is sold.", put=put_articles)
    _sub(group, "offers", "Prices with their history.", put=put_offers)
    _sub(group, "stock", "Units on hand.", put=put_stock)
    _sub(group, "coupons", "Coupons.", put=put_coupons)
    _sub(group, "purses", "Gift cards and vouchers.", put=put_purses)
    _sub(group, "token", "Tokens of a shop's backend.", create=create_token, revoke=revoke_token)
    _sub(group, "orders", "Orders.", list=list_orders, show=show_order)
    _sub(group, "refunds", "Money on its way back.", list=list_refunds, retry=retry_refund, redirect=redirect_refund,
         settle=settle_refund)  # fmt: skip
    _sub(group, "outbox", "Messages that Kafka refused.", list=list_outbox, retry=retry_outbox)
    group.command("funnel")(show_funnel)
    program.add_typer(group, name="checkout")


def _sub(group: typer.Typer, name: str, help_: str, **commands: Any) -> None:
    inner = typer.Typer(no_args_is_help=True, help=help_)
    inner.callback()(_nothing)
    for command, function in commands.items():
        inner.command(command)(function)
    group.add_typer(inner, name=name)


def _nothing() -> None:
    """Make a group of one command a group."""


def put_shop(file: File, token: Token = "", at: At = _HERE) -> None:
    """Put the shop's own facts; refused with rule and article when its pages would break the law.

    Warnings are told; they hold up nothing.
    """
    import msgspec

    from relance.cli import checkout_files
    from relance.cli.checkout_calls import Caller
    from relance.rpc.checkout.v1 import checkout_pb2 as pb

    shop = checkout_files.shop(file)
    answer = Caller(at, token).call("PutShop", pb.PutShopRequest(shop=msgspec.json.encode(shop)), str(file))
    for found in answer.warnings:
        NOTES.print(f"[yellow]warning[/] {found.rule} ({found.article}): {found.reason}")
    OUT.print(f"shop {shop.get('id')} is put", markup=False)


def show_shop(token: Token = "", at: At = _HERE) -> None:
    """Show the shop's own facts as JSON, as they were put."""
    from relance.cli.checkout_calls import Caller
    from relance.rpc.checkout.v1 import checkout_pb2 as pb

    OUT.print_json(Caller(at, token).call("GetShop", pb.GetShopRequest()).shop.decode())


def put_articles(file: File, token: Token = "", at: At = _HERE) -> None:
    """Put articles: a list, each with sku, product_id, name, vat_percent, and `facts` of the law."""
    from relance.cli import checkout_files
    from relance.cli.checkout_calls import Caller

    asked = checkout_files.articles(file)
    Caller(at, token).call("PutArticles", asked, str(file))
    OUT.print(f"{len(asked.articles)} articles are put", markup=False)


def put_offers(file: File, token: Token = "", at: At = _HERE) -> None:
    """Put prices: a list, each with sku and `prices` (id, since, price_minor, and what else a price has)."""
    from relance.cli import checkout_files
    from relance.cli.checkout_calls import Caller

    asked = checkout_files.offers(file)
    Caller(at, token).call("PutOffers", asked, str(file))
    OUT.print(f"prices of {len(asked.offers)} articles are put", markup=False)


def put_stock(file: File, token: Token = "", at: At = _HERE) -> None:
    """Put units on hand: a mapping of sku to units."""
    from relance.cli import checkout_files
    from relance.cli.checkout_calls import Caller

    asked = checkout_files.stock(file)
    Caller(at, token).call("PutStock", asked, str(file))
    OUT.print(f"the stock of {len(asked.levels)} articles is put", markup=False)


def put_coupons(file: File, token: Token = "", at: At = _HERE) -> None:
    """Put coupons: a list, each with code, kind, starts_at, ends_at, and what it grants."""
    from relance.cli import checkout_files
    from relance.cli.checkout_calls import Caller

    asked = checkout_files.coupons(file)
    Caller(at, token).call("PutCoupons", asked, str(file))
    OUT.print(f"{len(asked.coupons)} coupons are put", markup=False)


def put_purses(file: File, token: Token = "", at: At = _HERE) -> None:
    """Put gift cards and vouchers: a list, each with ref, means and balance_minor."""
    from relance.cli import checkout_files
    from relance.cli.checkout_calls import Caller

    asked = checkout_files.purses(file)
    Caller(at, token).call("PutPurses", asked, str(file))
    OUT.print(f"{len(asked.purses)} gift cards and vouchers are put", markup=False)


def create_token(
    shop: Annotated[str, typer.Argument(help="The shop.", metavar="SHOP")],
    days: Annotated[int, typer.Option(min=0, max=3_650, help="Until it ends; 0: it does not.")] = 0,
    at: At = _HERE,
) -> None:
    """Make a token for a shop's backend and print it: it is shown this once, and kept only as its hash.

    Asks for the operator's token: RELANCE_CHECKOUT_OPERATOR_TOKEN, else that of the service started here.
    """
    import os

    from relance.cli.checkout_calls import Caller, environment_home, operator_token
    from relance.rpc.checkout.v1 import checkout_pb2 as pb

    caller = Caller(at, operator_token(os.environ, environment_home()))
    answer = caller.call("CreateToken", pb.CreateTokenRequest(shop=shop, lasts_s=days * 86_400))
    OUT.print(answer.token, markup=False)
    NOTES.print(f"keep it: it cannot be shown again; it works until {answer.expires_at}")


def revoke_token(
    token: Annotated[str, typer.Argument(help="The token that ends.", metavar="TOKEN")], at: At = _HERE
) -> None:
    """End a token."""
    import os

    from relance.cli.checkout_calls import Caller, environment_home, operator_token
    from relance.rpc.checkout.v1 import checkout_pb2 as pb

    caller = Caller(at, operator_token(os.environ, environment_home()))
    caller.call("RevokeToken", pb.RevokeTokenRequest(token=token))
    NOTES.print("it opens nothing any more")


def list_orders(
    state: Annotated[str, typer.Option(help="Only these: placed, confirmed, shipped…", metavar="STATE")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 100,
    token: Token = "",
    at: At = _HERE,
) -> None:
    """List the shop's orders."""
    from rich.table import Table

    from relance.cli.checkout_calls import Caller
    from relance.rpc.checkout.v1 import checkout_pb2 as pb

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("order", "state", "total", "placed", "paid", "alerts"):
        table.add_column(heading, justify="right" if heading == "total" else "left")
    caller, after, shown = Caller(at, token), "", 0
    while shown < limit:
        asked = pb.ListOrdersRequest(state=state, page_size=min(100, limit - shown), page_token=after)
        page = caller.call("ListOrders", asked)
        for order in page.orders:
            alerts = ", ".join(alert.kind for alert in order.alerts) or "-"
            total = f"{order.total_minor / 100:.2f} EUR"
            table.add_row(order.order_id, order.state, total, order.placed_at, order.paid_at or "-", alerts)
        shown, after = shown + len(page.orders), page.next_page_token
        if not after:
            break
    OUT.print(table)


def show_order(
    order: Annotated[str, typer.Argument(help="Its id.", metavar="ORDER")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    token: Token = "",
    at: At = _HERE,
) -> None:
    """Show an order: its lines, what was paid how, parcels, refunds, documents and alerts."""
    from relance.cli.checkout_calls import Caller
    from relance.rpc.checkout.v1 import checkout_pb2 as pb

    found = Caller(at, token).call("GetOrder", pb.GetOrderRequest(order_id=order)).order
    if as_json:
        from google.protobuf.json_format import MessageToJson

        OUT.print_json(MessageToJson(found, preserving_proto_field_name=True))
        return
    for name, text in _told(found):
        OUT.print(f"{name:<10}{text}", markup=False)


def _told(order: Any) -> list[tuple[str, str]]:
    lines = [("order", f"{order.order_id}, {order.state}"), ("placed", order.placed_at)]
    lines += [(name, at) for name, at in (("concluded", order.concluded_at), ("paid", order.paid_at)) if at]
    lines += [
        (
            "line",
            f"{one.quantity} x {one.name}, {_money(one.net_minor)}; {one.shipped} shipped, {one.received} received",
        )
        for one in order.lines
    ]
    sums = f"delivery {_money(order.delivery_minor)}, discount {_money(order.discount_minor)}"
    lines.append(("total", f"{_money(order.total_minor)}; {sums}"))
    lines += [("tender", f"{one.means}, {_money(one.amount_minor)}, {one.state}") for one in order.tenders]
    lines += [
        ("attempt", f"{one.means} at {one.psp}, {_money(one.amount_minor)}, {one.state} {one.category}".rstrip())
        for one in order.attempts
    ]
    lines += [("refund", f"{_money(one.amount_minor)}, {one.cause}, {one.state}") for one in order.refunds]
    lines += [
        ("parcel", f"{one.id} {one.carrier}, shipped {one.shipped_at}" + (
            f", received {one.received_at}" if one.received_at else ""))
        for one in order.parcels
    ]  # fmt: skip
    lines += [("document", f"{one.name} {one.sha256}") for one in order.documents]
    return lines + [("alert", f"{one.kind} {one.at} {one.detail}") for one in order.alerts]


def _money(minor: int) -> str:
    return f"{minor / 100:.2f} EUR"
