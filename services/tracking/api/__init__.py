"""The edges of the tracking service: HTTP for servers and browsers, gRPC. They translate and refuse; they decide nothing else."""
