"""Every statement on the schema `merchants`, a module for each group of tables."""
