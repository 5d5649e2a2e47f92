"""Settings of the checkout service: each field is the variable `RELANCE_CHECKOUT_<FIELD>`."""

from typing import Annotated, Literal

import msgspec

__all__ = ["Settings"]

Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=3_600)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Port 0 is any free port (it is logged)."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    rules: str = ""  # the directory of the book of law; empty: the repository's own, rules/law

    # where it listens; LawService asks for no key, so this is an address of the inside
    host: str = "127.0.0.1"
    grpc_port: Port = 8083
    metrics_host: str = "127.0.0.1"
    metrics_port: Port = 9104

    # what it takes at once
    grpc_message_bytes_max: Positive = 4_194_304  # a line of `relance law ask` has 4,000,000 at most
    grpc_calls_max: Positive = 64  # open at a time; with the size of a message this bounds memory

    # how long it waits
    request_deadline_s: Seconds = 10.0  # of a large question; a small one takes milliseconds
    drain_s: Seconds = 10.0  # for what is being answered when the end begins
