"""Pure checkout: the machines of a checkout, an order, its attempts and refunds, and what a cart costs and offers.

A transition takes a state, an act and an instant, and gives the next state with what is to be said and done, or a
refusal that changes nothing. Nothing here reads a clock, a disk or a net.
"""
