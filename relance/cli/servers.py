"""What runs on this machine: the services, and stand-ins for a bank and a mail server where none is named."""

from collections.abc import Mapping
from typing import Final

import msgspec

__all__ = ["SERVICES", "STAND_INS", "Server", "wanted"]


class Server(msgspec.Struct, frozen=True):
    """A process, and the ports that it has where the environment says nothing else.

    With a METRICS_PORT it answers /health/ready there; otherwise it is ready once its first port takes connections.
    `arguments`: options by the setting whose port they give.
    """

    name: str
    ports: tuple[tuple[str, int], ...]
    module: str = ""  # empty: services.<name>
    arguments: tuple[tuple[str, str], ...] = ()

    def port(self, setting: str, environ: Mapping[str, str]) -> int:
        """The port in force."""
        return int(environ.get(self.variable(setting)) or dict(self.ports)[setting])

    def variable(self, setting: str) -> str:
        """The environment's name of a setting."""
        return f"RELANCE_{self.name.upper()}_{setting}"

    @property
    def tells_health(self) -> bool:
        """Whether it says itself that it is ready."""
        return "METRICS_PORT" in dict(self.ports)


CHECKOUT: Final = Server("checkout", (("GRPC_PORT", 8083), ("HTTP_PORT", 8084), ("METRICS_PORT", 9104)))
NOTIFICATION: Final = Server("notification", (("METRICS_PORT", 9105),))
SESSION: Final = Server("session", (("GRPC_PORT", 8082), ("METRICS_PORT", 9102)))
TRACKING: Final = Server("tracking", (("PORT", 8080), ("GRPC_PORT", 8081), ("METRICS_PORT", 9101)))
BANK: Final = Server("bank", (("PORT", 8090),), "relance.bank", (("PORT", "--port"),))
MAILBOX: Final = Server(
    "mailbox",
    (("PORT", 8026), ("SMTP_PORT", 8025)),
    "relance.mailbox",
    (("PORT", "--port"), ("SMTP_PORT", "--smtp-port")),
)

# In the order in which they start. They end in the reverse order: what takes events in stops first.
SERVICES: Final = (CHECKOUT, NOTIFICATION, SESSION, TRACKING)
STAND_INS: Final = {"RELANCE_CHECKOUT_STRIPE_KEY": BANK, "RELANCE_NOTIFICATION_SMTP_HOST": MAILBOX}


def wanted(environ: Mapping[str, str]) -> tuple[Server, ...]:
    """The services, after a stand-in for each outside system that the environment does not name."""
    return (*(server for setting, server in STAND_INS.items() if not environ.get(setting)), *SERVICES)
