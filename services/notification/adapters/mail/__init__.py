"""Templates: MJML in `sources/`, what `build` compiles it to in `compiled/`, texts, and `rendering` that fills them."""
