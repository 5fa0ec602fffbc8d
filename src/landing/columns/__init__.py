"""Values to Arrow: field types, conversion without loss, privacy and type inference.

Nothing in it is public; `JsonPage` is imported from `landing.http`.
"""
