"""Bodies of other systems as our events: Segment's spec and Google Analytics' data layer."""
