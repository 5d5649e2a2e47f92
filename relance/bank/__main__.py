"""`python -m relance.bank`: a bank on this machine."""

import argparse
import socket
import sys
from pathlib import Path

import uvicorn

from relance.bank.app import make_app
from relance.bank.bank import Bank, Terms


def main() -> None:
    """Run until SIGTERM or SIGINT; the first line on standard output is the address."""
    wished = _arguments()
    listener = socket.create_server((wished.host, wished.port), backlog=512)
    port = listener.getsockname()[1]
    terms = Terms(
        base_url=wished.base_url or f"http://{wished.host}:{port}",
        webhook=wished.webhook,
        webhook_secret=wished.webhook_secret,
        state=wished.state,
        merchant=wished.merchant,
        answer_ms=wished.answer_ms,
        settle_s=wished.settle_s,
        silent_s=wished.silent_s,
        late_s=wished.late_s,
    )
    server = uvicorn.Server(
        uvicorn.Config(make_app(Bank(terms)), log_level="warning", access_log=False, timeout_graceful_shutdown=2)
    )
    sys.stdout.write(f"{terms.base_url}\n")
    sys.stdout.flush()
    server.run([listener])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m relance.bank", description="A bank that speaks Stripe's format.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090, help="0: any free one")
    parser.add_argument("--base-url", default="", help="where shoppers reach its pages, when it is another address")
    parser.add_argument("--webhook", default="", metavar="URL", help="where webhooks go")
    parser.add_argument("--webhook-secret", default="whsec_bank", help="what signs them (whsec_bank)")
    parser.add_argument("--state", type=Path, metavar="FILE", help="what outlives a restart; default: memory alone")
    parser.add_argument("--merchant", default="Boutique", help="the payee on the pages")
    parser.add_argument("--answer-ms", type=float, default=0.0, help="what an answer of the API takes at least")
    parser.add_argument("--settle-s", type=float, default=5.0, help="until a debit or a slow refund ends")
    parser.add_argument("--silent-s", type=float, default=60.0, help="how long the silent page is silent")
    parser.add_argument("--late-s", type=float, default=5.0, help="how late late webhooks are")
    return parser.parse_args()


if __name__ == "__main__":
    main()
