"""coloop: coroutines on greenlets, written as plain blocking code, with an account for each.

    import coloop

    def main():
        channel = coloop.Channel()
        coloop.go(channel.send, "hello")
        return channel.receive()

    coloop.run(main)

To read the source, begin with `_switching.py`, then `_scheduler.py`.
"""

from . import _forks as _forks
from . import study as study
from . import testing as testing
from ._accepting import serving as serving
from ._account import Account as Account
from ._address import Address as Address
from ._after import TimedCall as TimedCall
from ._after import after as after
from ._after import every as every
from ._barrier import Barrier as Barrier
from ._broadcast import Broadcast as Broadcast
from ._callbacks import Callbacks as Callbacks
from ._callbacks import Settings as Settings
from ._channel import Channel as Channel
from ._channel import Operation as Operation
from ._child import wait_child as wait_child
from ._clock import Clock as Clock
from ._clock import MonotonicClock as MonotonicClock
from ._condition import Condition as Condition
from ._connect import connect as connect
from ._connection import ClosedBy as ClosedBy
from ._connection import Connection as Connection
from ._coroutine import Coroutine as Coroutine
from ._datagram import DatagramSocket as DatagramSocket
from ._datagram import bind as bind
from ._errors import AlreadyRunning as AlreadyRunning
from ._errors import BrokenBarrier as BrokenBarrier
from ._errors import Busy as Busy
from ._errors import Cancelled as Cancelled
from ._errors import Closed as Closed
from ._errors import CoroutineError as CoroutineError
from ._errors import Deadlock as Deadlock
from ._errors import Killed as Killed
from ._errors import LockMisused as LockMisused
from ._errors import MemoryLimitExceeded as MemoryLimitExceeded
from ._errors import NotRunning as NotRunning
from ._errors import NotSuspended as NotSuspended
from ._errors import OutputFull as OutputFull
from ._errors import QueueEmpty as QueueEmpty
from ._errors import QueueFull as QueueFull
from ._errors import Timeout as Timeout
from ._errors import TooManyCoroutines as TooManyCoroutines
from ._errors import Truncated as Truncated
from ._errors import WasCancelled as WasCancelled
from ._errors import WrongProcess as WrongProcess
from ._errors import WrongThread as WrongThread
from ._form import FORM as FORM
from ._framing import Delimited as Delimited
from ._framing import Framing as Framing
from ._framing import LengthPrefixed as LengthPrefixed
from ._framing import Lines as Lines
from ._framing import MessageTooLong as MessageTooLong
from ._framing import Raw as Raw
from ._framing import framing_of as framing_of
from ._group import Group as Group
from ._heap_pictures import HeapSite as HeapSite
from ._heap_pictures import HeapStack as HeapStack
from ._heap_pictures import HeapType as HeapType
from ._heap_pictures import Residue as Residue
from ._holdings import Entrusted as Entrusted
from ._holdings import holdings as holdings
from ._inbox import Inbox as Inbox
from ._inherited import adopt as adopt
from ._listener import Listener as Listener
from ._listener import listen as listen
from ._lock import Lock as Lock
from ._lock import RLock as RLock
from ._memory import memory as memory
from ._observer import Failure as Failure
from ._observer import Observer as Observer
from ._queue import Queue as Queue
from ._run import call_soon_threadsafe as call_soon_threadsafe
from ._run import current as current
from ._run import defer as defer
from ._run import go as go
from ._run import run as run
from ._run import sleep as sleep
from ._run import snapshot as snapshot
from ._run import suspend as suspend
from ._run import yield_now as yield_now
from ._scheduler import Scheduler as Scheduler
from ._scheduler import current_scheduler as current_scheduler
from ._select import Selected as Selected
from ._select import select as select
from ._semaphore import Semaphore as Semaphore
from ._server import Server as Server
from ._server import serve as serve
from ._server_statistics import ServerStatistics as ServerStatistics
from ._signal import signals as signals
from ._signal import wait_signal as wait_signal
from ._snapshot import ChannelPicture as ChannelPicture
from ._snapshot import CoroutinePicture as CoroutinePicture
from ._snapshot import Snapshot as Snapshot
from ._snapshot import SocketPicture as SocketPicture
from ._snapshot import TlsPicture as TlsPicture
from ._socket import Socket as Socket
from ._spawn_sites import SpawnSite as SpawnSite
from ._sync import Event as Event
from ._threads import to_thread as to_thread
from ._timeouts import timeout as timeout
from ._tls import TlsSocket as TlsSocket
from ._waitgroup import WaitGroup as WaitGroup

# In a traceback or a pickle, an exception is called as it is caught. Not so the other classes: their annotations
# and their source are looked for in the module that `__module__` names.
for _public in list(vars().values()):
    if isinstance(_public, type) and issubclass(_public, BaseException):
        _public.__module__ = __name__
del _public
