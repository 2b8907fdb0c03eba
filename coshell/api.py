"""All that a plugin may import from the shell; the runtime is `coloop`, and plugins may import that too.

What stands here stays, or changes with a version that `requires_coshell` can name. Whatever else lies
in `coshell` is free to change at any time.
"""

# ruff: noqa: PLC0414  `X as X` is how a name is given on

from .calling import called as called
from .certificate import Certificate as Certificate
from .certificate import Trust as Trust
from .command import Arg as Arg
from .command import Command as Command
from .command import CommandError as CommandError
from .lines import is_name as is_name
from .listening import ADDRESS as ADDRESS
from .listening import PUBLIC as PUBLIC
from .listening import checked_address as checked_address
from .plugin import Directive as Directive
from .plugin import Lint as Lint
from .plugin import PsColumn as PsColumn
from .plugin import hookimpl as hookimpl
from .processes import ProcessPicture as ProcessPicture
from .processes import Sight as Sight
from .reach import is_local as is_local
from .render import Column as Column
from .render import table as table
from .shell import Shell as Shell
from .text import cut as cut
from .text import plural as plural
from .text import printable as printable
from .tls_options import CA as CA
from .tls_options import INSECURE as INSECURE
from .tls_options import SERVE_TLS as SERVE_TLS
from .tls_options import TRY_TLS as TRY_TLS
from .tls_options import certificate as certificate
from .values import Bytes as Bytes
from .values import Count as Count
from .values import Duration as Duration
from .values import Percent as Percent
