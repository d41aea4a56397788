"""WeChat Pay v3 in public-key mode: signed both ways, encrypted notifications, the trade bill.

server   its doors
bill     CSV with back-ticks
"""
