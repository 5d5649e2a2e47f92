"""Templates: MJML in `sources/`, what it compiles to in `compiled/` (`build`), texts, and their filling (`rendering`)."""
