"""What a shop tells the checkout, out of its YAML files, as the calls take it. Raises InputError that names file and
entry.
"""

from pathlib import Path
from typing import Any

import msgspec

from relance.cli.checkout_calls import entries, read_yaml
from relance.kernel.errors import InputError
from relance.rpc.checkout.v1 import checkout_pb2 as pb

__all__ = ["articles", "coupons", "offers", "purses", "shop", "stock"]


def shop(file: Path) -> dict[str, Any]:
    """The facts of a shop. A picture of `artwork` that names its `file`, beside this one, brings its bytes."""
    found = read_yaml(file)
    if not isinstance(found, dict):
        raise InputError(f"{file}: the facts of a shop are a mapping")
    pictures = found.get("artwork") or {}
    if not isinstance(pictures, dict) or not all(isinstance(one, dict) for one in pictures.values()):
        raise InputError(f"{file}: artwork is a mapping of slots to pictures")
    read = {slot: _picture(picture, file, str(slot)) for slot, picture in pictures.items()}
    return found | ({"artwork": read} if read else {})


def _picture(picture: dict[str, Any], file: Path, slot: str) -> dict[str, Any]:
    """A picture with the bytes of its file. The hash stays the one that is pinned: the service compares."""
    if "file" not in picture:
        return picture
    path = file.parent / str(picture["file"])
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: artwork {slot}: {path}: {error.strerror}") from None
    return {name: value for name, value in picture.items() if name != "file"} | {"data": data}


def articles(file: Path) -> pb.PutArticlesRequest:
    """A list, each with sku, product_id, name, vat_percent, and `facts` of the law."""
    return pb.PutArticlesRequest(articles=[msgspec.json.encode(article) for article in entries(file, "articles")])


def offers(file: Path) -> pb.PutOffersRequest:
    """A list, each with sku and `prices` (id, since, price_minor, and what else a price has)."""
    found = enumerate(entries(file, "offers"), start=1)
    return pb.PutOffersRequest(offers=[_offer(entry, f"{file}: entry {place}") for place, entry in found])


def stock(file: Path) -> pb.PutStockRequest:
    """A mapping of sku to units."""
    levels = read_yaml(file)
    if not isinstance(levels, dict) or not all(type(count) is int for count in levels.values()):
        raise InputError(f"{file}: a mapping of sku to units is needed")
    return pb.PutStockRequest(levels=[pb.StockLevel(sku=str(sku), on_hand=count) for sku, count in levels.items()])


def coupons(file: Path) -> pb.PutCouponsRequest:
    """A list, each with code, kind, starts_at, ends_at, and what it grants."""
    return pb.PutCouponsRequest(coupons=[msgspec.json.encode(coupon) for coupon in entries(file, "coupons")])


def purses(file: Path) -> pb.PutPursesRequest:
    """Gift cards and vouchers: a list, each with ref, means and balance_minor."""
    found = enumerate(entries(file, "purses"), start=1)
    return pb.PutPursesRequest(purses=[_message(pb.Purse, entry, f"{file}: entry {place}") for place, entry in found])


def _offer(entry: Any, where: str) -> Any:
    prices = entry.get("prices")
    if not isinstance(prices, list) or not prices or not set(entry) <= {"sku", "prices"}:
        raise InputError(f"{where}: sku and a list of prices are needed")
    return pb.Offer(sku=str(entry.get("sku", "")), prices=[_message(pb.Price, price, where) for price in prices])


def _message(kind: Any, entry: Any, where: str) -> Any:
    """A message of its fields. Raises InputError for a field that it does not have, or of another type."""
    fields = {field.name for field in kind.DESCRIPTOR.fields}
    if not isinstance(entry, dict) or (unknown := sorted(set(entry) - fields)):
        named = unknown[0] if isinstance(entry, dict) else entry
        raise InputError(f"{where}: {named} is none of {', '.join(sorted(fields))}")
    plain = {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in entry.items()}
    try:
        return kind(**plain)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: {error}") from None
