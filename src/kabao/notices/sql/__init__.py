"""Every statement on the schema `notices`."""
