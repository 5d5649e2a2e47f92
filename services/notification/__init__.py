"""Notification: the messages about an order that its buyer must have, by e-mail, once.

hears     `checkout.messages.v1`; reports of delivery (RFC 3464) in a maildir, or given to its command `bounce`
keeps     requests, attempts, addresses that refuse, what is still to be said (SQL); no document, it is fetched again
says      `notification.outcomes.v1`, `notification.dead-letters.v1`; e-mail by SMTP, signed for the shop's domain
promises  a request is sent once, or its outcome says why not; what is attached hashes as asked; nothing sells or tracks
"""
