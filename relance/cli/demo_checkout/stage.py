"""What stands around the services in the demo: the bank, the mailbox and the shop, and the shop put to the checkout."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from relance.cli.checkout_calls import Caller, operator_token
from relance.kernel.errors import NotNow

__all__ = ["Stage"]

_ROOT: Final = Path(__file__).parents[3]
_SHOP: Final = _ROOT / "examples" / "shop"
_START_S: Final = 60.0
_SENDERS: Final = {
    "senders": {
        "demo": {
            "name": "Lampes de Loire",
            "address": "commandes@lampes.example",
            "dkim": {"domain": "lampes.example"},
            "bounce_domain": "lampes.example",
            "reply_to": "aide@lampes.example",
            "identity": "Lampes de Loire SARL, 3 quai Jean-Bart, 44000 Nantes, RCS Nantes 123 456 789",
            "help_phone": "+33 2 40 00 00 00",
            "hosts": ["127.0.0.1"],
        }
    }
}


class Stage:
    """Make it, give `environ` to the services checkout, notification and tracking, `start` it before them, `open` the
    shop once they are ready, and `stop` it after them.
    """

    def __init__(self, home: Path, grpc_port: int) -> None:
        """`home`: an absolute directory that goes with the demo. `grpc_port`: that of the checkout."""
        self._home = home
        self._grpc = f"127.0.0.1:{grpc_port}"
        self._processes: list[subprocess.Popen[str]] = []
        http, bank, shop, smtp, mailbox, metrics = _free_ports(6)
        self._ports = {"bank": bank, "shop": shop, "smtp": smtp, "mailbox": mailbox}
        self.pages = f"http://127.0.0.1:{http}"
        self.bank = f"http://127.0.0.1:{bank}"
        self.shop = f"http://127.0.0.1:{shop}"
        self.mailbox = f"http://127.0.0.1:{mailbox}"
        self.token = ""
        self.environ: dict[str, str] = {
            "RELANCE_HOME": str(home),
            "RELANCE_TRACKING_RAW_TOPIC": "true",  # the checkout's events come from its outbox, through Kafka
            "RELANCE_CHECKOUT_GRPC_PORT": str(grpc_port),
            "RELANCE_CHECKOUT_DATABASE": f"sqlite:///{home}/checkout/checkout.db",
            "RELANCE_CHECKOUT_HTTP_PORT": str(http),
            "RELANCE_CHECKOUT_BASE_URL": self.pages,
            "RELANCE_CHECKOUT_BANK_URL": self.bank,
            "RELANCE_NOTIFICATION_CHECKOUT": self._grpc,
            "RELANCE_NOTIFICATION_METRICS_PORT": str(metrics),
            "RELANCE_NOTIFICATION_SMTP_PORT": str(smtp),
            "RELANCE_NOTIFICATION_SMTP_TLS": "none",
            "RELANCE_NOTIFICATION_SENDERS": str(home / "senders.yaml"),
            "RELANCE_NOTIFICATION_MAKE_KEYS": "true",
        }

    def start(self) -> None:
        """The bank and the mailbox. Raises NotNow."""
        self._home.mkdir(parents=True, exist_ok=True)
        (self._home / "senders.yaml").write_text(yaml.safe_dump(_SENDERS, allow_unicode=True), encoding="utf-8")
        webhook = f"{self.pages}/v1/psp/simulator"
        self._run("relance.bank", "--port", self._ports["bank"], "--webhook", webhook, "--merchant", "Lampes de Loire")
        folder = self._home / "mailbox"
        smtp, pages = self._ports["smtp"], self._ports["mailbox"]
        self._run("relance.mailbox", "--smtp-port", smtp, "--port", pages, "--folder", folder)
        for name in ("bank", "smtp", "mailbox"):
            self._await(name)

    def open(self, tracking: str, key: str) -> None:
        """Put the shop, its articles, prices and stock, and open its pages. `key`: the shop's secret key of tracking.

        Raises InputError (the law, a fault in the files) and NotNow.
        """
        from relance.rpc.checkout.v1 import checkout_pb2 as pb

        operator = Caller(self._grpc, operator_token({}, self._home))
        self.token = operator.call("CreateToken", pb.CreateTokenRequest(shop="demo")).token
        shop = Caller(self._grpc, self.token)
        shop.call("PutShop", pb.PutShopRequest(shop=msgspec.json.encode(self._facts())), "shop.yaml")
        articles = [msgspec.json.encode(article) for article in _read("articles")]
        shop.call("PutArticles", pb.PutArticlesRequest(articles=articles), "articles.yaml")
        offers = [
            pb.Offer(
                sku=offer["sku"],
                prices=[
                    pb.Price(id=one["id"], since=one["since"].isoformat(), price_minor=one["price_minor"])
                    for one in offer["prices"]
                ],
            )
            for offer in _read("offers")
        ]
        shop.call("PutOffers", pb.PutOffersRequest(offers=offers), "offers.yaml")
        levels = [pb.StockLevel(sku=sku, on_hand=units) for sku, units in _read("stock").items()]
        shop.call("PutStock", pb.PutStockRequest(levels=levels), "stock.yaml")
        coupons = [msgspec.json.encode(coupon) for coupon in _read("coupons")]
        shop.call("PutCoupons", pb.PutCouponsRequest(coupons=coupons), "coupons.yaml")
        own = {
            "SHOP_PORT": str(self._ports["shop"]), "RELANCE_CHECKOUT_ADDRESS": self._grpc,
            "RELANCE_CHECKOUT_TOKEN": self.token, "RELANCE_URL": tracking, "RELANCE_KEY": key,
        }  # fmt: skip
        self._run("examples.shop", environ=own)
        self._await("shop")

    def watch(self) -> None:
        """Raises NotNow when a part has ended."""
        for process in self._processes:
            if process.poll() is not None:
                raise NotNow(f"{process.args} has ended; see {self._home / 'log'}")

    def addresses(self) -> dict[str, str]:
        """What there is to click through."""
        return {"shop": self.shop, "mailbox": self.mailbox, "checkout's pages": self.pages, "bank": self.bank}

    def pids(self) -> list[int]:
        """The processes that `stop` would end."""
        return [process.pid for process in self._processes]

    def stop(self) -> None:
        """End the shop, the mailbox and the bank."""
        for process in reversed(self._processes):
            process.terminate()
        for process in reversed(self._processes):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def _facts(self) -> Any:
        """The shop's facts, with the addresses that it has here."""
        facts = _read("shop")
        legal = facts["legal"] | {"accessibility_statement": f"{self.pages}/legal/demo/accessibility"}
        return facts | {"base_url": self.shop, "return_urls": [self.shop], "legal": legal}

    def _run(self, module: str, *arguments: object, environ: Mapping[str, str] | None = None) -> None:
        logs = self._home / "log"
        logs.mkdir(parents=True, exist_ok=True)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RELANCE_")}
        with (logs / f"{module}.log").open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *map(str, arguments)], env=clean | dict(environ or {}), cwd=_ROOT,
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, text=True,
            )  # fmt: skip
        self._processes.append(process)

    def _await(self, name: str) -> None:
        end_s = time.monotonic() + _START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._ports[name]), 1.0).close()
            except OSError:
                self.watch()
                if time.monotonic() > end_s:
                    raise NotNow(f"the {name} does not answer; see {self._home / 'log'}") from None
                time.sleep(0.05)
            else:
                return


def _read(name: str) -> Any:
    return yaml.safe_load((_SHOP / f"{name}.yaml").read_text(encoding="utf-8"))


def _free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on, all different."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
