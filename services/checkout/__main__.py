"""`python -m services.checkout`."""

from services.checkout.app import main

main()
