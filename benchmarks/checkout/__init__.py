"""The checkout's numbers: orders a second, whole tunnels, the check of the law, the paper."""
