from .streams import twenty

__all__ = ["twenty"]
