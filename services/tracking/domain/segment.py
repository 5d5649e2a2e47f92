"""Segment bodies, as `/v1/segment` takes them.

The mapping stands in `relance.events`, because the command line reads files of them.
"""

from relance.events.bodies.segment import to_events

__all__ = ["to_events"]
