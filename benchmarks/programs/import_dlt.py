"""A process that does nothing but `import dlt`: what no run of this project can go below."""

import dlt  # noqa: F401
