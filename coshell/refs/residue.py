"""What a coroutine has left that ended long ago: nobody has its handle, but what it allocated may be held."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coloop import CoroutineError, CoroutinePicture, memory
from coshell.text import plural, printable

from .chain import Chain
from .holding import held_by

if TYPE_CHECKING:
    from coshell.shell import Shell


def residue(shell: Shell, gone: CoroutinePicture, limit_s: float) -> Chain:
    """What holds most of it; of kind `nothing` if it has left nothing, or the ledger cannot tell."""
    outcome = "" if gone.outcome is None else f" ({gone.outcome})"
    who = printable(f"co#{gone.id} {gone.name} has ended{outcome}", keep="")
    try:
        left = memory.objects(gone.id)
    except CoroutineError as error:
        return Chain("", "nothing", remark=f"{who}, and nobody holds its handle; {error}")
    if not left:
        return Chain("", "nothing", remark=f"{who}, has left nothing, and nobody holds its handle")
    remark = f"{who}, and has left {plural(len(left), 'object')}"
    found = held_by(shell, left, limit_s)
    if found is None:
        return Chain(
            "", "cycle", remark=f"{remark} that no root leads to: only the collector frees them (gc)"
        )
    return Chain(found.root, found.kind, found.type, (), f"{remark}; most are held by")
