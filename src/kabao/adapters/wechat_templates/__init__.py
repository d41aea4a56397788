"""Template messages of a WeChat official account (公众号模板消息).

messages   the port: a stable access token, and one message with it
"""
