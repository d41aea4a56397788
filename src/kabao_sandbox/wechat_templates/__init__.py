"""A WeChat official account's API, as far as template messages go, and its followers.

server    the protocol, and a desk that shows what came and orders faults
command   how it is started
"""
