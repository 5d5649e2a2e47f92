"""Money on the wire: integer minor units and an ISO 4217 code; decimals exist only where other formats are read."""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from typing import Final

__all__ = ["currency_code", "exponent", "minor_units", "nearest_minor_units"]

_EXPONENTS: Final = {  # all others have two digits
    "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0,
    "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0, "UGX": 0, "UYI": 0,
    "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
    "CLF": 4, "UYW": 4,
}  # fmt: skip
_MAX_DIGITS: Final = 30  # no amount is longer; a longer one is refused before arithmetic is spent on it


def exponent(currency: str) -> int:
    """Digits after the decimal point that the currency's minor unit has (ISO 4217)."""
    return _EXPONENTS.get(currency, 2)


@lru_cache(maxsize=1024)
def currency_code(currency: str) -> int:
    """The batch's 16-bit code: 5 bits a letter, A = 1, first letter highest.

    Raises ValueError unless these are three letters A-Z.
    """
    if len(currency) != 3 or not (currency.isascii() and currency.isalpha() and currency.isupper()):
        message = f"{currency!r} is not an ISO 4217 code of three letters A-Z"
        raise ValueError(message)
    first, second, third = (ord(letter) - 64 for letter in currency)
    return first << 10 | second << 5 | third


def minor_units(amount: str | float, currency: str) -> int:
    """Exact minor units of a decimal amount; a float counts as its shortest decimal form.

    Raises ValueError when the amount is no finite number, or has digits finer than the currency's minor unit.
    """
    scaled = _scaled(amount, currency)
    if scaled != scaled.to_integral_value():
        message = f"{amount!r} is finer than the minor unit of {currency}"
        raise ValueError(message)
    return int(scaled)


def nearest_minor_units(amount: str | float, currency: str) -> int:
    """As `minor_units`, but finer digits are rounded, half up: browsers send 59.980000000000004 for 59.98."""
    return int(_scaled(amount, currency).to_integral_value(ROUND_HALF_UP))


def _scaled(amount: str | float, currency: str) -> Decimal:
    text = str(amount)
    try:
        value = Decimal(text) if len(text) <= _MAX_DIGITS and not isinstance(amount, bool) else None
    except InvalidOperation:
        value = None
    if value is None or not value.is_finite() or value.adjusted() > _MAX_DIGITS:
        message = f"{text[:40]!r} is not an amount"
        raise ValueError(message)
    return value.scaleb(exponent(currency))
