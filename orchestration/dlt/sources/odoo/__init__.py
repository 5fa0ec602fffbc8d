"""Odoo: sales orders and their lines, from any stock Odoo 14 or newer."""

from .streams import order_lines, orders

__all__ = ["order_lines", "orders"]
