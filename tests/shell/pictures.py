"""Pictures of schedulers that do not exist, for what only looks at pictures."""

from typing import Any

from coloop import CoroutinePicture, Snapshot, SocketPicture
from coshell.processes import ProcessPicture


def coroutine(id: int = 1, name: str = "main", **known: Any) -> CoroutinePicture:
    usual: dict[str, Any] = {
        "state": "waiting",
        "parent_id": None,
        "spawned_at": "<co:1>:1 in <module>",
        "waiting_on": "sleep 1s",
        "where": None,
        "age_s": 1.0,
        "busy_s": 0.0,
        "switches": 3,
        "running_for_s": 0.0,
        "heap_bytes": 0,
        "heap_peak": 0,
        "allocated_total": 0,
        "stack_bytes": 0,
        "frames": 1,
    }
    return CoroutinePicture(id=id, name=name, **(usual | known))


def socket(role: str, local: str, owner: int = 1, **known: Any) -> SocketPicture:
    usual: dict[str, Any] = {
        "id": 1,
        "fd": 7,
        "kind": "tcp",
        "peer": None,
        "state": "open",
        "kernel": None,
        "unread": 0,
        "unsent": 0,
        "received": 0,
        "sent": 0,
        "reader": None,
        "writer": None,
        "age_s": 1.0,
    }
    return SocketPicture(role=role, local=local, owner=owner, **(usual | known))


def snapshot(*coroutines: CoroutinePicture, **known: Any) -> Snapshot:
    usual: dict[str, Any] = {
        "taken_at": 0.0,
        "responsive": True,
        "level": "heap",
        "coroutines": coroutines,
        "dead": (),
        "sockets": (),
        "live": len(coroutines),
        "spawned": len(coroutines),
        "peak": len(coroutines),
        "failed": 0,
        "ready": 0,
        "waiting": len(coroutines),
        "timers": 0,
        "threads": 0,
        "switches": 0,
        "lag_s": 0.0,
        "hog": None,
        "hog_stack": (),
        "heap_bytes": sum(picture.heap_bytes or 0 for picture in coroutines),
        "dead_bytes": 0,
        "outside_bytes": 0,
        "traced_bytes": 0,
        "stack_bytes": 0,
        "cost": "",
        "channels": (),
    }
    return Snapshot(**(usual | known))


def process(name: str = "web/w1", *coroutines: CoroutinePicture, **known: Any) -> ProcessPicture:
    """A worker with a client, as it has told half a second ago."""
    usual: dict[str, Any] = {
        "pid": 77,
        "state": "running",
        "live": len(coroutines),
        "sockets": (
            socket("listener", "127.0.0.1:8080", 2, id=1, state="listening", kernel="LISTEN"),
            socket(
                "server", "127.0.0.1:8080", 3, id=2, peer="127.0.0.1:51312", kernel="CLOSE_WAIT", reader=3
            ),
        ),
        "heap_bytes": 1_200 * 1024,
        "rss_bytes": 31 * 1024 * 1024,
        "clients": 1,
        "requests": 1024,
        "taken_ago_s": 0.5,
    }
    return ProcessPicture(name, coroutines=coroutines, **(usual | known))
