"""Holding an nc session at the keyboard: lines go out, what arrives is shown above the line being typed.

Three coroutines' worth of waiting happen at once: for the keyboard, for the peer, and for the room that a
slow peer leaves us to send. The keyboard is read on a thread, so that nobody else has to wait meanwhile;
the peer is listened to by a coroutine, which closes the prompt when the peer has left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import coloop

from .keys import Answer, Gesture, Typed
from .nc import Conversation, listen_to
from .text import printable

if TYPE_CHECKING:
    from coloop import Socket

    from .prompt import SidePrompt

KEYS_HINT: Final = "^D half-close   ^] menu   ^C leave"
MENU: Final = "(h)alf-close (s)tatus (l)eave (c)ontinue? "


@dataclass(frozen=True)
class Session:
    """One nc session at a keyboard.

    Attributes:
        socket: the open connection; it stays open.
        conversation: what has been said.
        prompt: where lines are typed.
        show: shows a line above the prompt.
        choose: asks for one of some keys.
    """

    socket: Socket
    conversation: Conversation
    prompt: SidePrompt
    show: Callable[[str], None]
    choose: Callable[[str, str], str]

    def hold(self) -> None:
        """Talk until one side leaves; parks."""
        listener = coloop.go(self._listen, name=f"{self.conversation.options.label} listen")
        try:
            self._talk(listener)
        finally:
            self.prompt.close()
            listener.cancel()
            listener.join()

    def _listen(self) -> None:
        try:
            listen_to(self.socket, self.conversation, self._show_in_turn)
        finally:
            self.prompt.close()

    def _show_in_turn(self, line: str) -> None:
        """Show a line and let others run: 200 lines on a slow terminal take longer than a Ctrl-C should."""
        self.show(line)
        coloop.yield_now()

    def _talk(self, listener: coloop.Coroutine) -> None:
        while (answer := self._read()) is not Gesture.LEAVE:
            if isinstance(answer, Typed):
                self._send(answer.text)
            elif answer is Gesture.MENU:
                answer = self._ask()
            if answer is Gesture.END_INPUT and not self._end_input():
                break
        if not listener.ended:  # it was us who left
            listener.cancel()
            for line in self.conversation.left("left"):
                self.show(line)

    def _read(self) -> Answer:
        try:
            answer: Answer = coloop.to_thread(self.prompt.read)
            return answer
        except EOFError:
            return Gesture.LEAVE

    def _ask(self) -> Gesture:
        """Show the menu; returns what was chosen in it."""
        try:
            choice = coloop.to_thread(self.choose, MENU, "hslc")
        except EOFError:
            return Gesture.LEAVE
        if choice == "s":
            self.show(f". {self.conversation.summary()}")
        return {"h": Gesture.END_INPUT, "l": Gesture.LEAVE}.get(choice, Gesture.MENU)

    def _end_input(self) -> bool:
        """Close our half; False if it was closed before."""
        if self.conversation.half_closed:
            return False
        self.socket.shutdown("write")
        self.show(self.conversation.close_half())
        return True

    def _send(self, line: str) -> None:
        try:
            data = self.conversation.typed(line)
            self.socket.sendall(data)
        except (ValueError, OSError, coloop.CoroutineError) as error:
            self.show(f". not sent: {printable(str(error), keep='')}")
        else:
            self.conversation.sent(data)
