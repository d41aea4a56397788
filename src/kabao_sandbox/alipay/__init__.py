"""Alipay: its gateway with RSA2, payers with codes, notifications, the trade bill.

server   the gateway
bill     the zip of CSV in GBK
"""
