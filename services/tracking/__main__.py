"""`python -m services.tracking`."""

import gc

gc.disable()  # until all is imported and made: to look through it again and again would be a fifth of the start

from services.tracking.app import main  # noqa: E402

main()
