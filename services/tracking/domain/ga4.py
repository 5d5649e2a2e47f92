"""Data layer pushes, as `/v1/ga4` takes them.

The mapping stands in `relance.events`, because the command line reads files of them.
"""

from relance.events.bodies.ga4 import to_events

__all__ = ["to_events"]
