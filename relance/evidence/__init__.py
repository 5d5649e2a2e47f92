"""Evidence of an order: what was shown, chosen and accepted, chained, sealed and readable by a court.

Pure: time, keys and randomness are arguments. The decisions and what cannot be found: docs/adr/0007.
"""
