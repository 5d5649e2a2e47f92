"""The chapter of the demo in which a shopper orders: `Stage` sets it, `play` tells it."""
