"""What APIs answer that a client has to notice, each way as an API of a few rows."""
