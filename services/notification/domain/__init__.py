"""Pure: what an answer of a mail server means, what to do next, what a message is made of, and what none may hold."""
