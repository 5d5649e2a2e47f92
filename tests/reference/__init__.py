"""A slow plain model of detection, written from its description alone; it shares no code with the engine.

`model` is the meaning, `session` what an event changes in one session, `events` what is read of an event (and how
that comes from a CloudEvents line), `columns` turns the same events into Arrow batches for the engine, `shoppers`
makes random ones.
"""
