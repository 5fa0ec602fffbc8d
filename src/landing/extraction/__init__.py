"""A stream's pages to parts: sources, cursors, drift and quarantine.

Nothing in it is public.
"""
