"""Use cases of the checkout: each is one transaction of its machines with their evidence, events and effects."""
