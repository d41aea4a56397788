"""Texts to phones.

yunpian   云片's HTTP API, version 2: whole texts that fit a template they approved
"""
