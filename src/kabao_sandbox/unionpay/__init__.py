"""UnionPay's online gateway 5.1.0: certificate-signed forms, queries, the file of a day.

certificates   a root, one between, and the one that signs
server         the gateway
bill           lines of fixed width
"""
