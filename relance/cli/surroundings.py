"""The environment of the services on this machine: what the caller's leaves open is kept in the home directory."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from relance.cli.servers import BANK, CHECKOUT, MAILBOX, Server
from relance.custody.secret_files import kept_secret

__all__ = ["EXAMPLE_SHOP", "surroundings"]

EXAMPLE_SHOP: Final = Path(__file__).parents[2] / "examples" / "shop"


def surroundings(home: Path, kafka: str, given: Mapping[str, str], servers: Sequence[Server]) -> dict[str, str]:
    """The caller's environment with what it leaves open: databases and secrets below `home`, so that a later start
    reads the same state, and the addresses of stand-ins. Without senders of its own, the example shop's mail is sent.
    """
    left_open = {
        "RELANCE_HOME": str(home.absolute()),
        "RELANCE_CHECKOUT_DATABASE": f"sqlite:///{home.absolute() / 'checkout' / 'checkout.db'}",
        "RELANCE_CHECKOUT_BASE_URL": f"http://127.0.0.1:{CHECKOUT.port('HTTP_PORT', given)}",
        "RELANCE_NOTIFICATION_CHECKOUT": f"127.0.0.1:{CHECKOUT.port('GRPC_PORT', given)}",
    }
    if not given.get("RELANCE_SESSION_HASH_KEY"):
        left_open["RELANCE_SESSION_HASH_KEY"] = kept_secret(home / "session-hash-key")
    if not (home / "notification" / "senders.yaml").exists():
        left_open["RELANCE_NOTIFICATION_SENDERS"] = str(EXAMPLE_SHOP / "senders.yaml")
        left_open["RELANCE_NOTIFICATION_MAKE_KEYS"] = "true"
    if BANK in servers:
        left_open["RELANCE_CHECKOUT_BANK_URL"] = f"http://127.0.0.1:{BANK.port('PORT', given)}"
    if MAILBOX in servers:
        left_open |= {
            "RELANCE_NOTIFICATION_SMTP_HOST": "127.0.0.1",
            "RELANCE_NOTIFICATION_SMTP_PORT": str(MAILBOX.port("SMTP_PORT", given)),
            "RELANCE_NOTIFICATION_SMTP_TLS": "none",
        }
    return left_open | {name: value for name, value in given.items() if value} | {"RELANCE_KAFKA": kafka}
