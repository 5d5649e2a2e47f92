"""Checkout: from a cart to a paid and confirmed order, held against the law at each step; and questions of law.

hears     shops' backends over gRPC (`CheckoutService`), shoppers on its pages, webhooks of payment providers (hints),
          `notification.outcomes.v1`; questions of law (`LawService`), for which it needs no database and no Kafka
keeps     shops, articles, prices, stock, checkouts and orders in one database, with the evidence of each order, and
          signed checkpoints over that evidence outside of it; the book of law (`rules/law`) is read once, at the start
says      `shop-events` and `checkout.orders.v1` (steps, orders, payments), `checkout.messages.v1` (what is to be sent)
promises  one order for one recap, however often and in however many tabs its button is pressed; no charge without an
          order and no order without evidence; every order is paid, awaited by name, or lapses with nothing kept; what
          the law forbids is refused with rule and article; no start with a rule file that is broken
"""
