"""Session: notices that a shopper hesitates, leaves or fails to pay.

hears     `tracking.batches.v1` (columnar events, ticks, definitions); `tracking.shops.v1` for newer definitions
keeps     live sessions, the duplicate filter and the definitions in force, as checkpoints in a Faust table
says      `session.signals.v1` (JSON), `session.ended.v1` (Arrow); ticks and definitions, into its own input
promises  each window fires once, at its deadline, with the same id and content on every replay
"""
