"""Settings of the notification service: each field is the variable `RELANCE_NOTIFICATION_<FIELD>`."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from relance.kernel.errors import InputError

__all__ = ["Settings"]

Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=604_800)]
_SECRET_MIN = 32  # letters


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Port 0 is any free port. What is empty of paths and secrets lies in `home`, and secrets are made there once.

    Raises InputError when a secret is too short, or would go out in the clear.
    """

    kafka: str = msgspec.field(name="RELANCE_KAFKA", default="127.0.0.1:9092")  # bootstrap servers
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    group: str = "notification"
    metrics_host: str = "127.0.0.1"
    metrics_port: Port = 9105

    # what it keeps
    home: str = msgspec.field(name="RELANCE_HOME", default=".relance")
    database: str = ""  # sqlite:///path or postgresql://user:password@host/name; empty: a file in home
    connections: Positive = 10
    # A secret of at least 32 letters that stays, the same for all processes: it signs return paths, and addresses are
    # remembered by its hash. Empty: that of this machine.
    secret: Annotated[str, msgspec.Meta(max_length=256)] = ""
    drop_days: Positive = (
        400  # after which nothing of a settled request is left here, long after Kafka has forgotten it
    )
    forget_days: Positive = 90  # after which a settled request's address and facts are emptied

    # who it writes as
    senders: str = ""  # a YAML file; empty: notification/senders.yaml in home
    keys: str = ""  # <domain>/<selector>.pem, mode 0600; empty: notification/dkim in home
    make_keys: bool = False  # make a key for a sender that has none: for demonstrations, nobody has its record yet

    # the mail server that takes everything
    smtp_host: str = "127.0.0.1"
    smtp_port: Port = 25
    # implicit: TLS from the first byte; starttls: or nothing is sent; opportunistic: when offered, and unverified; none
    smtp_tls: Literal["implicit", "starttls", "opportunistic", "none"] = "starttls"
    smtp_ca: str = ""  # a file of certificates to trust; empty: the system's
    smtp_user: str = ""
    smtp_password: str = ""
    smtp_hello: str = "localhost"  # the name it says in EHLO
    smtp_connections: Positive = 4
    smtp_messages_max: Positive = 100  # on one connection
    smtp_timeout_s: Seconds = 30.0  # for each answer but the last
    smtp_answer_s: Seconds = 120.0  # for the answer to a whole message
    report_success: bool = True  # ask servers that offer DSN to report success too: it settles what is uncertain

    # how it tries
    at_once: Positive = 16
    domain_at_once: Positive = 4
    domain_per_minute: Annotated[int, msgspec.Meta(ge=0)] = 0  # 0: no bound
    greylisted_s: Seconds = 300.0
    deferred_s: Seconds = 30.0
    away_s: Seconds = 2.0
    longest_s: Seconds = 1_800.0
    claim_s: Seconds = 120.0  # for preparing a message and saying it up to its end
    uncertain_s: Seconds = 60.0  # for a report, after an answer that never came, and after a start
    poll_s: Seconds = 0.5

    # reports of delivery
    bounces: str = ""  # a maildir that they are delivered to; empty: only the command `bounce` takes them in

    # checkout's documents
    checkout: str = "127.0.0.1:8083"
    checkout_token: str = ""  # empty: that of this machine, checkout/notification.token in home
    checkout_timeout_s: Seconds = 10.0

    drain_s: Seconds = 20.0  # for what is under way when the end begins

    def __post_init__(self) -> None:
        if self.secret and len(self.secret) < _SECRET_MIN:
            raise InputError(
                "settings: RELANCE_NOTIFICATION_SECRET is too short: make one (`openssl rand -hex 32`) and keep it, "
                "since return paths signed with another are not known any more"
            )
        if self.smtp_user and self.smtp_tls not in {"implicit", "starttls"}:
            raise InputError("settings: RELANCE_NOTIFICATION_SMTP_TLS must be implicit or starttls to send a password")

    @property
    def room(self) -> Path:
        """Where this service's own files lie."""
        return Path(self.home) / "notification"

    @property
    def database_url(self) -> str:
        """The database."""
        return self.database or f"sqlite:///{self.room / 'notification.db'}"

    @property
    def senders_file(self) -> Path:
        """The file of senders."""
        return Path(self.senders) if self.senders else self.room / "senders.yaml"

    @property
    def keys_directory(self) -> Path:
        """The directory of DKIM keys."""
        return Path(self.keys) if self.keys else self.room / "dkim"
