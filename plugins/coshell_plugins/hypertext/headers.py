"""Header fields: several may have one name, and their names' case means nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

Pairs = Iterable[tuple[bytes, bytes]]
GivenHeaders = Mapping[str, object] | Iterable[tuple[str, object]]


class Headers(Mapping[str, str]):
    """The header fields of a message, by name in any case; of several with one name the values are joined.

    Args:
        pairs: names in lower case, and values, as they came.

    Attributes:
        pairs: as given.
    """

    __slots__ = ("_found", "pairs")

    def __init__(self, pairs: Pairs = ()) -> None:
        self.pairs = list(pairs)
        self._found: dict[str, list[str]] | None = None

    def get_all(self, name: str) -> list[str]:
        """The values of all fields of that name, in their order: `set-cookie` cannot be joined."""
        return list(self._by_name().get(name.lower(), ()))

    def _by_name(self) -> dict[str, list[str]]:
        if self._found is None:
            self._found = {}
            for name, value in self.pairs:
                self._found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        return self._found

    def __getitem__(self, name: str) -> str:
        return ", ".join(self._by_name()[name.lower()])

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._by_name()

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name())

    def __len__(self) -> int:
        return len(self._by_name())

    def __repr__(self) -> str:
        return f"Headers({dict(self)!r})"


def encoded(headers: GivenHeaders) -> list[tuple[bytes, bytes]]:
    """What a user gives as headers, as pairs of bytes.

    Raises:
        ValueError: a name or a value has characters that no header can have.
        TypeError: these are no headers.
    """
    given = headers.items() if isinstance(headers, Mapping) else headers
    return [(_bytes(name).lower(), _bytes(value)) for name, value in given]


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return str(value).encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(f"header {value!r} cannot be sent: only Latin-1 can") from None
