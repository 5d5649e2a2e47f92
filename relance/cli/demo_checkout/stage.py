"""The example shop beside the services of the demo: put to the checkout, and open."""

import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from relance.cli.checkout_calls import Caller, operator_token, read_yaml
from relance.cli.servers import CHECKOUT, MAILBOX
from relance.kernel.errors import NotNow

__all__ = ["Stage"]

_ROOT: Final = Path(__file__).parents[3]
_SHOP: Final = _ROOT / "examples" / "shop"
_START_S: Final = 60.0


class Stage:
    """Made once the services are ready, out of their environment (`Stack.environ`): `open` the shop, and `stop` it."""

    def __init__(self, home: Path, environ: Mapping[str, str]) -> None:
        """`home`: the directory of the services, where the operator's token lies."""
        self._home = home
        self._environ = environ
        self._grpc = f"127.0.0.1:{CHECKOUT.port('GRPC_PORT', environ)}"
        self._process: subprocess.Popen[bytes] | None = None
        self._port = _free_port()
        self.shop = f"http://127.0.0.1:{self._port}"
        self.pages = environ["RELANCE_CHECKOUT_BASE_URL"]
        self.bank = environ["RELANCE_CHECKOUT_BANK_URL"]
        self.mailbox = f"http://127.0.0.1:{MAILBOX.port('PORT', environ)}"
        self.token = ""

    def open(self, tracking: str, key: str) -> None:
        """Put the shop, its articles, prices and stock, and open its pages. `key`: the shop's secret key of tracking.

        Raises InputError (the law, a fault in the files) and NotNow.
        """
        from relance.cli import checkout_files
        from relance.rpc.checkout.v1 import checkout_pb2 as pb

        operator = Caller(self._grpc, operator_token({}, self._home))
        self.token = operator.call("CreateToken", pb.CreateTokenRequest(shop="demo")).token
        shop = Caller(self._grpc, self.token)
        shop.call("PutShop", pb.PutShopRequest(shop=msgspec.json.encode(self._facts())), "shop.yaml")
        shop.call("PutArticles", checkout_files.articles(_SHOP / "articles.yaml"), "articles.yaml")
        shop.call("PutOffers", checkout_files.offers(_SHOP / "offers.yaml"), "offers.yaml")
        shop.call("PutStock", checkout_files.stock(_SHOP / "stock.yaml"), "stock.yaml")
        shop.call("PutCoupons", checkout_files.coupons(_SHOP / "coupons.yaml"), "coupons.yaml")
        own = {
            "SHOP_PORT": str(self._port), "RELANCE_CHECKOUT_ADDRESS": self._grpc,
            "RELANCE_CHECKOUT_TOKEN": self.token, "RELANCE_CHECKOUT_BASE_URL": self.pages, "RELANCE_URL": tracking,
            "RELANCE_KEY": key,
        }  # fmt: skip
        self._start(own)

    def caller(self) -> Caller:
        """The shop's backend, once it is open."""
        return Caller(self._grpc, self.token)

    def watch(self) -> None:
        """Raises NotNow when the shop has ended."""
        if self._process is not None and self._process.poll() is not None:
            raise NotNow(f"the shop has ended; see {self._log}")

    def addresses(self) -> dict[str, str]:
        """What there is to click through."""
        return {"shop": self.shop, "mailbox": self.mailbox, "checkout's pages": self.pages, "bank": self.bank}

    def pids(self) -> list[int]:
        """The process that `stop` would end."""
        return [] if self._process is None else [self._process.pid]

    def stop(self) -> None:
        """End the shop."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _facts(self) -> Any:
        """The shop's facts, with the addresses that it has here."""
        facts = read_yaml(_SHOP / "shop.yaml")
        legal = facts["legal"] | {
            "accessibility_statement": f"{self.pages}/legal/demo/accessibility",
            "withdrawal_function_url": f"{self.pages}/withdraw/demo",
        }
        return facts | {"base_url": self.shop, "return_urls": [self.shop], "legal": legal}

    @property
    def _log(self) -> Path:
        return self._home / "log" / "shop.log"

    def _start(self, own: Mapping[str, str]) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        clean = {name: value for name, value in self._environ.items() if not name.startswith("RELANCE_")}
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "examples.shop"], env=clean | dict(own), cwd=_ROOT, stdin=subprocess.DEVNULL,
                stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip
        end_s = time.monotonic() + _START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), 1.0).close()
            except OSError:
                self.watch()
                if time.monotonic() > end_s:
                    raise NotNow(f"the shop does not answer; see {self._log}") from None
                time.sleep(0.05)
            else:
                return


def _free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
