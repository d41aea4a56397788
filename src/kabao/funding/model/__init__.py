"""`answers`: what is asked of a channel and what it may say. `life`: what that does to an order."""
