"""Banks and an acquirer behind one kind of gateway: pages, wallets, cards of the schemes.

products   whose gateway it is: scenes, fees, when the money is the merchant's
pages      what a payer sees in a browser
server     the gateway
bill       the list of a day
"""
