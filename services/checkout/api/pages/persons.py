"""Who is signed in, in words. Guests are nobody in particular."""

from services.checkout.api.pages.tongues import Tongue
from services.checkout.domain.presenting import View

__all__ = ["who_is"]


def who_is(view: View, tongue: Tongue) -> str:
    """Who is signed in, as he would say it himself; empty for a guest."""
    account = view.record.account
    if account is None:
        return ""
    name = " ".join(part for part in (account.first_name, account.last_name) if part)
    return name or account.email or tongue.say("a customer of %(shop)s", shop=view.shop.name)
