"""A server with TF Serving's REST and gRPC interface, for machines where TF Serving itself is not installed."""
