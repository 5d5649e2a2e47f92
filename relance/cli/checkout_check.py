"""`relance checkout shop check FILE`: what would refuse a shop's file, all at once, before anything is put."""

from datetime import datetime, time
from pathlib import Path
from typing import Annotated

import typer

from relance.cli.console import NOTES, OUT
from relance.kernel.errors import InputError

__all__ = ["check_shop_file"]


def check_shop_file(
    file: Annotated[Path, typer.Argument(help="YAML or JSON.", metavar="FILE")],
    on: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Under the law of this day (default: today).")
    ] = None,
) -> None:
    """Say all that would refuse the shop, each with field, rule and article; nothing is put, and no service is asked.

    Exit code 1 when something would. Whether a provider takes the shop's payments is for the service to say.
    """
    import msgspec

    from relance.cli import checkout_files
    from relance.rules.law.book import default_book
    from relance.rules.law.calendar import PARIS, paris_date
    from services.checkout.domain.shop_check import shop_problems
    from services.checkout.domain.shops import Shop

    try:
        shop = msgspec.json.decode(msgspec.json.encode(checkout_files.shop(file)), type=Shop)
    except msgspec.ValidationError as error:
        raise InputError(f"{file}: {error}") from None
    at = datetime.now(PARIS) if on is None else datetime.combine(on.date(), time(12), PARIS)
    problems = shop_problems(shop, (default_book(), paris_date(at)), at)
    for each in problems.warnings:
        NOTES.print(f"warning: {each.field}: {each.reason} ({each.rule}, {each.article})", markup=False)
    for each in problems.refusals:
        law = f" ({each.rule}, {each.article})" if each.rule else ""
        OUT.print(f"{each.field}: {each.reason}{law}", markup=False)
    if problems.refusals:
        OUT.print(f"{len(problems.refusals)} problems: the shop would be refused")
        raise typer.Exit(1)
    OUT.print(f"shop {shop.id} would be taken", markup=False)
