"""`python -m services.session`."""

from services.session.app import main

main()
