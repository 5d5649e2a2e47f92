"""`relance shop`: shops, their keys, limits, origins and windows, as `tracking.shops.v1` keeps them."""

import hashlib
import re
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
import typer

from relance.cli.cluster import bootstrap
from relance.cli.console import NOTES, OUT
from relance.cli.windows import load_file
from relance.events.shops import DEFAULTS, Key, Shop
from relance.kernel.errors import InputError
from relance.kernel.instants import format_ms

if TYPE_CHECKING:
    from relance.kafka.shops import ShopRegister

__all__ = ["checked_name", "new_key", "register", "with_definitions"]

Kind = Literal["publishable", "secret"]
Name = Annotated[str, typer.Argument(help="The shop.", metavar="SHOP")]
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PREFIXES: Final[dict[Kind, str]] = {"publishable": "pk", "secret": "sk"}
_KEY_BYTES: Final = 24  # 192 bits


def register(program: typer.Typer) -> None:
    """Add the group to the program."""
    group = typer.Typer(no_args_is_help=True, help="Shops: keys, limits, origins, windows.")
    for command in (create, show, list_shops, rotate_key, set_limit, set_origins, set_windows, defaults):
        group.command("list" if command is list_shops else None)(command)
    program.add_typer(group, name="shop")


def create(
    shop: Name,
    windows: Annotated[
        Path | None, typer.Option(help="Windows file; else the default set.", show_default=False)
    ] = None,
    origin: Annotated[list[str] | None, typer.Option(help="Allowed for browsers; may be repeated.")] = None,
    events_per_second: Annotated[int, typer.Option("--limit", min=0, help="Events per second; 0: no limit.")] = 0,
) -> None:
    """Create a shop and print its keys: they are shown this once and kept only as hashes."""
    name = checked_name(shop)
    definitions = load_file(windows) if windows is not None else None
    origins = tuple(_checked_origin(one) for one in origin or ())
    created = [new_key(name, kind) for kind in _PREFIXES]

    def make(known: Shop | None) -> Shop:
        if known is not None:
            raise InputError(f"shop {name} is there already")
        fresh = Shop(shop=name, version=0, keys=tuple(key for _, key in created), origins=origins,
                     events_per_second=events_per_second)  # fmt: skip
        return fresh if definitions is None else with_definitions(fresh, definitions, fresh.definitions_version + 1)

    _register().change(name, make)
    for text, key in created:
        OUT.print(f"{key.kind:<12} {text}", markup=False)
    NOTES.print("keep them: they cannot be shown again")


def show(shop: Name) -> None:
    """Show a shop as JSON; keys as hashes."""
    OUT.print_json(msgspec.json.encode(_existing(shop)).decode())


def list_shops() -> None:
    """List all shops."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("shop", "version", "keys", "origins", "events/s", "windows"):
        table.add_column(heading)
    for name, shop in sorted(_register().read().items()):
        own = "default set" if shop.definitions is None else f"{len(shop.definitions.windows)}"
        keys = "-" if name == DEFAULTS else str(sum(key.expires_at_ms is None for key in shop.keys))
        limit = str(shop.events_per_second or "-")
        shown = "* (default set)" if name == DEFAULTS else name
        table.add_row(shown, str(shop.version), keys, ", ".join(shop.origins) or "-", limit, own)
    OUT.print(table)


def rotate_key(
    shop: Name,
    kind: Annotated[Kind, typer.Option(help="Which key to replace.")] = "secret",
    grace: Annotated[str, typer.Option(help="How long the old key still works (ISO 8601: PT24H, PT0S).")] = "PT24H",
) -> None:
    """Replace a key: prints the new one once; the old one works until the grace is over."""
    from relance.rules.windows_file import parse_duration

    name = checked_name(shop)
    try:
        grace_ms = round(parse_duration(grace).total_seconds() * 1_000)
    except ValueError as error:
        raise InputError(f"--grace: {error}") from error
    text, key = new_key(name, kind)
    expiry_ms = key.created_at_ms + grace_ms

    def rotate(known: Shop | None) -> Shop:
        found = _there(known, name)
        return msgspec.structs.replace(found, keys=(*_expiring(found.keys, kind, expiry_ms, key.created_at_ms), key))

    _register().change(name, rotate)
    OUT.print(f"{kind:<12} {text}", markup=False)
    NOTES.print(f"the old key works until {format_ms(expiry_ms)}")


def set_limit(
    shop: Name,
    events_per_second: Annotated[int, typer.Argument(min=0, help="0: no limit.", metavar="EVENTS_PER_SECOND")],
) -> None:
    """Set how many events a second the shop may send; beyond it: 429."""
    _change(shop, events_per_second=events_per_second)


def set_origins(
    shop: Name, origins: Annotated[list[str] | None, typer.Argument(help="None: no browser.")] = None
) -> None:
    """Set the origins (https://shop.example) from which browsers may send."""
    _change(shop, origins=tuple(_checked_origin(origin) for origin in origins or ()))


def set_windows(
    shop: Name,
    file: Annotated[
        Path | None, typer.Argument(help="Windows file (YAML).", metavar="FILE", show_default=False)
    ] = None,
    default: Annotated[bool, typer.Option("--default", help="Fall back to the default set.")] = False,
) -> None:
    """Give the shop windows of its own, or with --default the default set again."""
    name = checked_name(shop)
    if (file is None) != default:
        raise InputError("either a FILE or --default is needed")
    definitions = load_file(file) if file is not None else None
    _register().change(
        name,
        lambda known: with_definitions(_there(known, name), definitions, _there(known, name).definitions_version + 1),
    )


def defaults(
    file: Annotated[
        Path | None, typer.Argument(help="Windows file (YAML); none: show.", metavar="FILE", show_default=False)
    ] = None,
) -> None:
    """Set the default windows, for all shops without their own; without FILE show them."""
    register_ = _register()
    if file is None:
        from relance.rules.windows import Definitions
        from relance.rules.windows_file import dump

        known = register_.read().get(DEFAULTS)
        OUT.print(dump((known.definitions if known else None) or Definitions()), markup=False, end="")
        return
    definitions = load_file(file)

    def change(known: Shop | None) -> Shop:
        found = known or Shop(shop=DEFAULTS, version=0)
        return with_definitions(found, definitions, found.definitions_version + 1)

    register_.change(DEFAULTS, change)


def new_key(shop: str, kind: Kind) -> tuple[str, Key]:
    """A new key, as its holder needs it and as it is kept."""
    text = f"{_PREFIXES[kind]}_{shop}_{secrets.token_urlsafe(_KEY_BYTES)}"
    digest = hashlib.sha256(text.encode()).hexdigest()
    return text, Key(kind=kind, sha256=digest, hint=text[-4:], created_at_ms=time.time_ns() // 1_000_000)


def checked_name(shop: str) -> str:
    """The name of a shop. Raises InputError when it has another form."""
    if _NAME.fullmatch(shop) is None:
        raise InputError(f"{shop!r} is no name for a shop: 1 to 64 letters, digits, '.', '_' and '-'")
    return shop


def with_definitions(shop: Shop, definitions: object, version: int) -> Shop:
    """The shop with other windows (None: the default set)."""
    changed: Shop = msgspec.structs.replace(shop, definitions=definitions, definitions_version=version)
    return changed


def _expiring(keys: tuple[Key, ...], kind: Kind, expiry_ms: int, now_ms: int) -> list[Key]:
    """Keys of `kind` end at `expiry_ms` at the latest; those that have ended are gone."""
    kept = []
    for key in keys:
        ends_ms = key.expires_at_ms
        if key.kind == kind:
            ends_ms = expiry_ms if ends_ms is None else min(ends_ms, expiry_ms)
        if ends_ms is None or ends_ms > now_ms:
            kept.append(msgspec.structs.replace(key, expires_at_ms=ends_ms))
    return kept


def _checked_origin(origin: str) -> str:
    parts = urlsplit(origin)
    if parts.scheme not in {"http", "https"} or not parts.netloc or origin != f"{parts.scheme}://{parts.netloc}":
        raise InputError(f"{origin!r} is no origin: https://shop.example, without a path")
    return origin.lower()


def _register() -> "ShopRegister":
    from relance.kafka.shops import ShopRegister

    return ShopRegister(bootstrap())


def _existing(shop: str) -> Shop:
    name = checked_name(shop)
    return _there(_register().read().get(name), name)


def _there(shop: Shop | None, name: str) -> Shop:
    if shop is None:
        raise InputError(f"there is no shop {name}: `relance shop create {name}`")
    return shop


def _change(shop: str, **fields: object) -> None:
    name = checked_name(shop)
    _register().change(name, lambda known: msgspec.structs.replace(_there(known, name), **fields))
