"""The edges: HTTP for servers and browsers, gRPC. They translate and refuse, and decide nothing else."""
