"""Where the shop and what it talks to are: environment variables, as a shop's own deployment would set them."""

import os
from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["Settings", "read"]


class Settings(NamedTuple):
    """`checkout` and `checkout_token`: gRPC of the checkout; `tracking` and `tracking_key`: HTTP of tracking; `pages`:
    where the checkout's own pages are.
    """

    shop: str
    port: int
    checkout: str
    checkout_token: str
    tracking: str
    tracking_key: str
    pages: str = "http://127.0.0.1:8084"


def read(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings. Without a key of tracking the shop sells and tells no events."""
    return Settings(
        shop=environ.get("SHOP", "demo"),
        port=int(environ.get("SHOP_PORT", "8091")),
        checkout=environ.get("RELANCE_CHECKOUT_ADDRESS", "127.0.0.1:8083"),
        checkout_token=environ.get("RELANCE_CHECKOUT_TOKEN", ""),
        tracking=environ.get("RELANCE_URL", "http://127.0.0.1:8080"),
        tracking_key=environ.get("RELANCE_KEY", ""),
        pages=environ.get("RELANCE_CHECKOUT_BASE_URL", "http://127.0.0.1:8084").rstrip("/"),
    )
