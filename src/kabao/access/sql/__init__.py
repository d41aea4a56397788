"""Every statement on the schema `access`, by subject."""
