"""Statements of reconciliation.

runs      runs, and lines as they are copied in
matching  rounds and classes: everything in sets, nothing is fetched
breaks    breaks and what became of them
"""
