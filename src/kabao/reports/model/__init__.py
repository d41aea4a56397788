"""What reports are made of. Pure."""
