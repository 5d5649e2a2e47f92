"""Checkout: what the law says about an order, before and after the click.

hears     questions of law over gRPC (`LawService`)
keeps     nothing; the book of law (`rules/law`) is read once, at the start
says      nothing of its own accord
promises  the answer of `relance law ask` to the same question; no start with a rule file that is broken
"""
