"""What runs: one package per service, with the same rooms in each."""
