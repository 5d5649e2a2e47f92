"""The meaning of each enforced rule: small pure functions over a checkout document, one module a part of the law."""

from relance.rules.law.checks import (
    contacting,
    delivering,
    ending,
    information,
    paying,
    pricing,
    process,
    site,
    withdrawing,
)
from relance.rules.law.checks.registry import MEANINGS, Fault, Meaning

__all__ = ["MEANINGS", "PARTS", "Fault", "Meaning"]

PARTS = (information, process, withdrawing, ending, delivering, pricing, contacting, paying, site)
