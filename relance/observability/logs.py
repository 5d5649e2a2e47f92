"""JSON logs, one object a line: structlog for our own words, the same form for libraries that use `logging`.

A line holds no personal data, no key and no body: ids of shops, counts, reasons.
"""

import logging
import sys
from typing import IO, Any

import msgspec
import structlog

__all__ = ["Logger", "configure", "logger"]

Logger = structlog.stdlib.BoundLogger
# libraries that tell each step at info, which is no news, and at debug what is stored and sent, which is personal
_QUIET = ("aiosqlite", "alembic", "fontTools", "sqlalchemy", "stripe", "weasyprint")
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(service: str, level: str = "info", stream: IO[str] | None = None) -> None:
    """Send every log line of this process to `stream` (standard error by default) as JSON.

    Call once, from app.py, before anything else speaks. `level`: debug, info, warning or error; KeyError for another.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _named(service),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    shown = logging.StreamHandler(stream or sys.stderr)
    shown.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.PositionalArgumentsFormatter(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(serializer=_dumps),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [shown]
    root.setLevel(_LEVELS[level])
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def logger(name: str) -> Logger:
    """A logger; `name` says which part of the service speaks."""
    bound: Logger = structlog.stdlib.get_logger(name)
    return bound


def _named(service: str) -> Any:
    def add(_logger: object, _method: str, line: dict[str, Any]) -> dict[str, Any]:
        line["service"] = service
        return line

    return add


def _dumps(line: dict[str, Any], **_options: object) -> str:
    return msgspec.json.encode(line, enc_hook=str).decode()
