"""The hosted pages of the checkout: HTML from templates, a thin shell over the desk; they work without JavaScript."""

from services.checkout.api.pages.router import LegalPages, make_pages, redacted
from services.checkout.api.pages.visits import PageSettings

__all__ = ["LegalPages", "PageSettings", "make_pages", "redacted"]
