"""The bank as a whole: its ledger, what it sends and how it errs, for the parts that speak HTTP."""

import asyncio
from pathlib import Path
from typing import Final

import msgspec

from relance.bank import paying, returning
from relance.bank.faults import Faults
from relance.bank.ledger import Ledger
from relance.bank.notices import Notices

__all__ = ["Bank", "Terms"]

_TICK_S: Final = 0.25


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How a bank is run. `webhook`: the address to tell, empty for none. `state`: a file to go on from. `answer_ms`:
    what an answer of the API takes at least; `settle_s`: a debit and a slow refund; `silent_s`: how long the page that
    does not answer is silent; `late_s`: how late late webhooks are. `base_url`: where shoppers reach its pages.
    """

    base_url: str
    webhook: str = ""
    webhook_secret: str = "whsec_bank"  # noqa: S105  # the bank's own, as printed in its help
    state: Path | None = None
    merchant: str = "Boutique"
    answer_ms: float = 0.0
    settle_s: float = 5.0
    silent_s: float = 60.0
    late_s: float = 5.0


class Bank:
    """A bank that runs: `start` and `aclose` belong to one event loop."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.answer_ms = terms.answer_ms
        self.faults = Faults()
        self.ledger = Ledger(terms.state)
        self.notices = Notices(self.ledger, terms.webhook, terms.webhook_secret, late_s=terms.late_s)
        self.ledger.heard = self.notices.hear
        self._ticking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Let time pass from now on."""
        self._ticking = asyncio.create_task(self._tick())

    async def aclose(self) -> None:
        """End; what was not delivered is given up."""
        if self._ticking is not None:
            self._ticking.cancel()
        await self.notices.aclose()
        self.ledger.close()

    def pass_time(self) -> None:
        """Let happen what time alone brings."""
        for value in self.ledger.due():
            if value["object"] == "refund":
                returning.pass_time(self.ledger, value)
            else:
                paying.pass_time(self.ledger, value)

    async def _tick(self) -> None:
        while True:
            self.pass_time()
            await asyncio.sleep(_TICK_S)
