"""The HTTP plumbing, mostly through real sockets."""
