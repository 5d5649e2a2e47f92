"""The outside: the mail server, Kafka, checkout, keys, templates, the maildir of reports."""
