"""What is asked of a channel and may be said, and what that means.

answers      what is asked of a channel and what it may say
life         what that does to an order
receipts     what comes to our bank account: which order it is for, or nobody's
collections  what is to be collected, the orders that try, what goes back
channels     channels as rows
asking       when to look at an order again
bills        what a line of a bill says of an order
health       how well a channel works: success rate, circuit breaker, lowered limits
routing      which channel is taken, and why not the others
"""
