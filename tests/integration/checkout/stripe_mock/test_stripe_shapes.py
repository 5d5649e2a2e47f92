"""What we ask of Stripe against its own description of its API. stripe-mock knows shapes only: it keeps nothing."""

import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from services.checkout.ports import Opened
from tests.integration.checkout.bank_kit import ROOT, a_refund, an_attempt, ask_of, provider_of

pytestmark = pytest.mark.timeout(600)  # it is compiled by the first test that needs it

MODULE = "github.com/stripe/stripe-mock@v0.203.0"
HOME = ROOT / ".relance" / "tools" / "go"


@pytest.fixture(scope="session")
def built() -> Path:
    """The program, made once."""
    program = HOME / "stripe-mock"
    if not program.exists():
        HOME.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "GOBIN": str(HOME)}
        subprocess.run(["go", "install", MODULE], env=environment, cwd=HOME, check=True, timeout=500)
    return program


@pytest.fixture
def stripe_mock(built: Path, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Its address and its log."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = tmp_path / "stripe-mock.log"
    with log.open("wb") as told:
        address = f"127.0.0.1:{port}"
        process = subprocess.Popen([str(built), "-http-addr", address], stdout=told, stderr=subprocess.STDOUT)
        try:
            _await_port(port)
            yield f"http://{address}", log
        finally:
            process.terminate()
            process.wait(10)


def _await_port(port: int) -> None:
    until = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < until, "stripe-mock does not start"
            time.sleep(0.05)
        else:
            return


async def test_all_that_we_ask_has_the_form_that_stripe_describes(stripe_mock: tuple[str, Path]) -> None:
    url, log = stripe_mock
    unknown = an_attempt()
    attempt = msgspec.structs.replace(unknown, psp_id="cs_test_1", state="sent")
    async with provider_of(url) as provider:
        answer = await provider.open(ask_of(unknown))
        assert isinstance(answer, Opened)
        assert answer.psp_id.startswith("cs_")
        assert (await provider.look(attempt)).psp_id == "cs_test_1"
        await provider.look(unknown)  # lists and searches
        await provider.close(attempt)
        refund = a_refund(attempt, 100)
        assert (await provider.refund(refund, attempt)).status == "succeeded"
        await provider.look_refund(refund, attempt)
    told = log.read_text()
    asked = set(re.findall(r"Request: (\w+ /\S+)", told))
    assert asked >= {
        "POST /v1/checkout/sessions",
        "GET /v1/checkout/sessions",
        "GET /v1/checkout/sessions/cs_test_1",
        "POST /v1/checkout/sessions/cs_test_1/expire",
        "GET /v1/payment_intents/search",
        "POST /v1/refunds",
        "GET /v1/refunds",
    }, asked
    assert set(re.findall(r"status=(\d+)", told)) == {"200"}, told
