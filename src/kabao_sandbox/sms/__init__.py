"""An SMS gateway that speaks 云片's protocol, and the phones it reaches.

server    the protocol, and a desk that shows what came and orders faults
command   how it is started
"""
