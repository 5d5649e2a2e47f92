"""Pure: JSON events in, rows of `relance.events.batch.SCHEMA`, facts and refusals out."""
