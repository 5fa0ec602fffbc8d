from .streams import bench

__all__ = ["bench"]
