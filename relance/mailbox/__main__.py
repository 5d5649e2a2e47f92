"""`python -m relance.mailbox`: a mailbox on this machine."""

import argparse
import asyncio
import socket
import sys
from pathlib import Path

import uvicorn

from relance.mailbox.letters import Letters
from relance.mailbox.pages import make_app
from relance.mailbox.smtp import Smtp


def main() -> None:
    """Run until SIGTERM or SIGINT; the first line on standard output says where: `smtp PORT http://…`."""
    wished = _arguments()
    asyncio.run(_run(wished))


async def _run(wished: argparse.Namespace) -> None:
    letters = Letters(wished.folder)
    listener = socket.create_server(("127.0.0.1", wished.port))
    smtp = Smtp(letters)
    smtp_port = await smtp.start("127.0.0.1", wished.smtp_port)
    sys.stdout.write(f"smtp {smtp_port} http://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(make_app(letters), log_level="warning", access_log=False, timeout_graceful_shutdown=2)
    await uvicorn.Server(config).serve([listener])
    await smtp.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m relance.mailbox", description="Takes all mail, passes none on.")
    parser.add_argument("--smtp-port", type=int, default=8025, help="0: any free one")
    parser.add_argument("--port", type=int, default=8026, help="of the pages; 0: any free one")
    parser.add_argument("--folder", type=Path, default=Path(".relance/mailbox"), help="where letters lie")
    return parser.parse_args()


if __name__ == "__main__":
    main()
