"""Kabao (卡包), the open platform for stored-value cards."""
