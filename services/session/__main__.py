"""`python -m services.session`."""

import gc

gc.disable()  # until all is imported and compiled: to look through it again and again would be a tenth of the start

from services.session.app import main  # noqa: E402

main()
