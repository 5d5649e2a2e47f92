"""The connections to Stripe: its own library, asynchronous, over a bounded pool."""

from typing import Final
from urllib.parse import urlsplit

import aiohttp
import stripe

__all__ = ["BASE_URL", "Connection"]

API_VERSION: Final = "2026-08-26.dahlia"  # not the library's: the newest whose forms stripe-mock can check
BASE_URL: Final = "https://api.stripe.com"
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_IDLE_S: Final = 60.0


class Connection:
    """`api_key`: secret or restricted; it is held by the client alone, never by the library's globals. `base_url`:
    Stripe, or what speaks like it. `answer_s`: what one answer may take; `retries`: of a call without an answer.

    Raises ValueError for an empty key, and for plain HTTP to another machine, where the key could be read.
    """

    def __init__(
        self, api_key: str, base_url: str = BASE_URL, *, answer_s: float = 8.0, retries: int = 1, open_max: int = 64
    ) -> None:
        parts = urlsplit(base_url)
        if not api_key.strip():
            raise ValueError("the API key is empty")
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise ValueError("the address of the provider must be https")
        self._api_key = api_key
        self._base_url = base_url.rstrip("/")
        self._answer_s = answer_s
        self._retries = retries
        self._open_max = open_max
        self._session: aiohttp.ClientSession | None = None
        self._client: stripe.StripeClient | None = None

    @property
    def client(self) -> stripe.StripeClient:
        """The client; made at its first use, since a pool belongs to the running loop."""
        if self._client is None:
            self._client = self._connect()
        return self._client

    async def aclose(self) -> None:
        """End the connections."""
        session, self._session, self._client = self._session, None, None
        if session is not None:
            await session.close()

    def _connect(self) -> stripe.StripeClient:
        stripe.enable_telemetry = False
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._open_max, keepalive_timeout=_IDLE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        timeout = aiohttp.ClientTimeout(total=self._answer_s, connect=min(3.0, self._answer_s))
        return stripe.StripeClient(
            self._api_key,
            stripe_version=API_VERSION,
            base_addresses={"api": self._base_url},
            max_network_retries=self._retries,
            http_client=stripe.AIOHTTPClient(timeout=timeout, session=self._session),
        )
