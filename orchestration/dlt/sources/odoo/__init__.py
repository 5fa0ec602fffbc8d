"""Odoo: sales orders and their lines, from any stock Odoo 14 or newer."""

from .streams import order_lines, orders

PARALLEL_LOGINS = True  # each request has the key or the password

__all__ = ["order_lines", "orders"]
