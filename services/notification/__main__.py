"""`python -m services.notification [key DOMAIN | bounce FILE | lift SHOP ADDRESS]`."""

from services.notification.app import main

main()
