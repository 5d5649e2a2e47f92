"""Rules as data: typed, validated when loaded. Python gives them meaning elsewhere."""
