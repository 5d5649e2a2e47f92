"""Settings of the checkout service: each field is the variable `RELANCE_CHECKOUT_<FIELD>`."""

from typing import Annotated, Literal

import msgspec

from relance.kernel.errors import InputError

__all__ = ["Settings"]

Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=3_600)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Port 0 is any free port (it is logged). Without a database it answers questions of law alone."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    rules: str = ""  # the directory of the book of law; empty: the repository's own, rules/law

    # what it keeps
    database: str = ""  # sqlite:///path or postgresql://user:password@host/database
    migrate: bool = True  # bring the tables up to date at the start
    connections: Positive = 20
    home: str = msgspec.field(name="RELANCE_HOME", default=".relance")  # keys and checkpoints of this machine
    master_key: str = ""  # 64 hexadecimal digits, or a file of them; empty: that of this machine
    signing_key: str = ""  # PEM file of the key that signs checkpoints; empty: that of this machine
    checkpoints: str = ""  # the file that keeps them, outside the database; empty: in home

    # what it says and hears; empty: nothing is relayed or heard
    kafka: str = msgspec.field(name="RELANCE_KAFKA", default="")

    # where it listens; gRPC and metrics are of the inside, the pages are for browsers
    host: str = "127.0.0.1"
    grpc_port: Port = 8083
    http_host: str = "127.0.0.1"
    http_port: Port = 8084
    metrics_host: str = "127.0.0.1"
    metrics_port: Port = 9104
    base_url: str = "http://127.0.0.1:8084"  # of the pages, as browsers reach them
    # Addresses or networks whose X-Forwarded-For is believed, with commas between. Behind a proxy that is not named
    # here all shoppers count as one address, for payments started and codes tried.
    trusted_proxies: str = ""
    cookie_secrets: str = ""  # with commas between, the first signs; empty: made of the master key

    # who may call CheckoutService beside shops with their own tokens; empty: a token of this machine, made in home
    operator_token: str = ""
    notification_token: str = ""

    # payment: Stripe, and the bank that speaks like it, for demonstrations and tests
    stripe_key: str = ""
    stripe_webhook_secrets: str = ""  # with commas between
    stripe_url: str = "https://api.stripe.com"
    stripe_origins: str = "https://checkout.stripe.com"  # where its pages are
    bank_url: str = ""  # empty: there is no such bank
    bank_key: str = "sk_test_bank"
    bank_webhook_secret: str = "whsec_bank"  # noqa: S105 - of a bank that has no money
    attempts_per_address: Positive = 30  # payments started from one network address within an hour

    # what it takes at once
    grpc_message_bytes_max: Positive = 4_194_304  # a line of `relance law ask` has 4,000,000 at most
    grpc_calls_max: Positive = 64  # open at a time; with the size of a message this bounds memory
    http_connections_max: Positive = 1_000

    # how long it waits
    request_deadline_s: Seconds = 10.0  # of a large question; a small one takes milliseconds
    first_look_s: Seconds = 20.0  # until a payment under way is asked about
    psp_timeout_s: Seconds = 20.0
    lease_s: Seconds = 30.0  # what a process that died had begun is begun anew: a confirmation is due within a minute
    print_limit_s: Seconds = 30.0  # of one confirmation: then its process is killed, and it is tried again
    drain_s: Seconds = 10.0  # for what is being answered when the end begins

    def __post_init__(self) -> None:
        if "*" in self.trusted_proxies:
            raise InputError(
                "settings: RELANCE_CHECKOUT_TRUSTED_PROXIES names addresses or networks: if everybody is believed, "
                "everybody chooses the address that his tries are counted by"
            )
