"""What checkout answers: gRPC about the law and for shops' backends; pages for shoppers."""
