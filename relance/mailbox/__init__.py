"""A mailbox on this machine: an SMTP server that passes nothing on, and a page that shows what came.

For demonstrations and tests; it listens on the loopback alone.
"""
