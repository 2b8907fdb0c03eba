"""What coloop is measured with at each of its levels and under other tools, which differ in nothing else."""

from ._workloads import births, cold, documents, large, pingpong, requests, small
from .coloop import echo_server, park

__all__ = [
    "births",
    "cold",
    "documents",
    "echo_server",
    "large",
    "park",
    "pingpong",
    "requests",
    "small",
]
