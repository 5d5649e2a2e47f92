"""A bank for demonstrations and tests: it speaks Stripe's wire format, has pages of its own, and errs when it is asked.

No money moves. What it is told with a card number of its table (`cards`) or at `/_bank/` decides what it does.
"""
