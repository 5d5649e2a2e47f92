"""What checkout answers: gRPC about the law."""
