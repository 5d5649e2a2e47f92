"""Generated from protos/ by `make contracts`; never edited."""
