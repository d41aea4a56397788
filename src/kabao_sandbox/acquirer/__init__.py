"""An acquirer with terminals of its own, which nobody's till is connected to.

server   its files, and a desk where cards are put into terminals
bill     the file of a day
"""
