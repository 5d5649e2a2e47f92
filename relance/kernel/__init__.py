"""Pure foundations: ids, instants, settings, errors. Nothing here reads a clock or does I/O."""
