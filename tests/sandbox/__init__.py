"""What stands outside the platform."""
