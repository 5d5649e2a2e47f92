"""The bank's HTTP: Stripe's API, its pages and its controls in one application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from relance.bank import api, control, pages
from relance.bank.bank import Bank

__all__ = ["make_app"]


def make_app(bank: Bank) -> Starlette:
    """The application; the bank runs while it does."""

    @asynccontextmanager
    async def running(_app: Starlette) -> AsyncIterator[None]:
        bank.start()
        yield
        await bank.aclose()

    return Starlette(routes=[*api.routes(bank), *control.routes(bank), *pages.routes(bank)], lifespan=running)
