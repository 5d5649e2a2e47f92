"""The law as data and small pure functions: `book` holds the rules, `verdict` applies them to a checkout."""
