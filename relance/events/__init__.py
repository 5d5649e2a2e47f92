"""Facts: the types of events, the columnar batch, signals, and the map of topics."""
