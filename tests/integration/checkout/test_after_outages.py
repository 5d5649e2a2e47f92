"""A withdrawal from a service whose Kafka is away, whose database is cut off, and whose printing process is killed."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from relance.cli.demo_checkout.browser import Browser, Page
from relance.kernel.errors import NotNow
from relance.rpc.checkout.v1 import aftercare_pb2 as pb
from relance.rpc.checkout.v1 import checkout_pb2 as checkout
from tests.integration.checkout.aftercare_kit import After, ago, delivered, key, today, until
from tests.integration.checkout.service_kit import Service, put_example, running_service
from tests.integration.checkout.test_loops import Wire, readiness

LAMP = {"LL-AURORE": 1}


@pytest.fixture
def wire(fresh_postgres: Callable[[], str]) -> Iterator[tuple[Wire, str]]:
    """A wire to a database, and its URL through the wire."""
    url = fresh_postgres()
    parts = urlsplit(url)
    made = Wire(parts.hostname or "", parts.port or 0)
    try:
        yield made, url.replace(f":{parts.port}", f":{made.port}")
    finally:
        made.close()


class Executioner:
    """Kills the printing process of a service whenever there is one, until it has killed it so often."""

    def __init__(self, service: Service, times: int) -> None:
        self._service = psutil.Process(service.running.process.pid)
        self._left = times
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while self._left:
            with contextlib.suppress(psutil.Error):
                for one in self._service.children():
                    if "multiprocessing.spawn" in " ".join(one.cmdline()):
                        one.kill()
                        self._left -= 1
            time.sleep(0.4)

    def done(self) -> None:
        """It has killed all that it was to."""
        self._thread.join(60)
        assert not self._left


def in_the_end(act: Callable[[], Page]) -> Page:
    """What a shopper sees who tries again."""
    end_s = time.monotonic() + 40
    while True:
        try:
            return act()
        except (httpx.HTTPError, NotNow):
            assert time.monotonic() < end_s
            time.sleep(0.2)


def test_what_is_stated_is_kept_once_and_acknowledged_whatever_is_away(wire: tuple[Wire, str], tmp_path: Path) -> None:
    line, url = wire
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        kafka = f"127.0.0.1:{nobody.getsockname()[1]}"
    with running_service(tmp_path, DATABASE=url, KAFKA=kafka) as service:
        demo = service.backend("demo")
        put_example(service, demo.token)
        after = After(demo, service)
        order = delivered(demo, LAMP)
        link = checkout.IssueLinkRequest(subject_id=order.order_id, purpose=checkout.LINK_PURPOSE_WITHDRAWAL)
        browser = Browser("Firefox")
        page = browser.open(demo.IssueLink(link).url)

        line.cut()
        with pytest.raises((httpx.HTTPError, NotNow)):
            browser.submit(page, name="Camille Durand")
        line.mend()
        said = in_the_end(lambda: browser.submit(page, name="Camille Durand"))
        assert said.status == 200
        again = in_the_end(lambda: browser.submit(page, name="Camille Durand"))
        assert again.url == said.url, "one statement"
        browser.close()
        found = until(after, order.order_id, lambda one: one.statements and one.statements[0].acknowledged_at)
        assert [one.statement_id for one in found.statements] == [said.url.rpartition("/")[2]]
        assert "relay: " in readiness(service)[1], "Kafka is away; what is to be said waits in the outbox"

        killing = Executioner(service, times=3)
        back = pb.AnswerWithdrawalRequest(
            idempotency_key=key(), order_id=order.order_id, statement_id=found.statements[0].statement_id,
            returned_on=today().isoformat(),
        )  # fmt: skip
        owed = after.AnswerWithdrawal(back).aftercare
        (refund,) = owed.dues[0].refund_ids
        settled = checkout.SettleRefundRequest(
            idempotency_key=key(), order_id=order.order_id, refund_id=refund, sent_at=ago()
        )  # fmt: skip
        demo.SettleRefund(settled)
        killing.done()
        printed = until(after, order.order_id, lambda one: len(one.papers) == 2 and all(p.sha256 for p in one.papers))
        assert sorted(one.kind for one in printed.papers) == ["credit_note", "invoice"]
        assert len({one.number for one in printed.papers}) == 2
        assert printed.dues[0].state == "settled"
