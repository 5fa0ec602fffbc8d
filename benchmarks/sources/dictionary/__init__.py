from .streams import bench, orders

__all__ = ["bench", "orders"]
