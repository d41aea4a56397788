"""One folder for each outside party: the real wire protocol with real signatures.

An adapter implements a port of a slice and keeps no state: it builds a request,
signs it, reads and verifies the answer, verifies what is sent to us, reads files.
Keys, clock, chance and the HTTP client are handed in. Whatever the other side
does, what leaves an adapter is a value of the port: a timeout, a bad signature
and a page of HTML in place of an answer are all `Unknown`, never an exception
and never a guess.
"""
