"""Segment bodies, as `/v1/segment` takes them; the mapping is shared with the command line, which reads files of them."""

from relance.events.bodies.segment import to_events

__all__ = ["to_events"]
