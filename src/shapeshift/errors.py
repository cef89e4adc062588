"""The one kind of error the package raises for input it cannot use, in words that are safe to show."""

_MOST = 2000  # characters of a message


class ShapeshiftError(ValueError):
    """Input that cannot be used: the message says what was got, what is needed and what to do."""

    def __init__(self, message: object = "") -> None:
        super().__init__(printable(str(message), _MOST))


def printable(text: str, most: int | None = None) -> str:
    """Text from a file or its name, on one line and without anything that a terminal would obey.

    Control characters, escapes and marks that turn the direction of writing become U+FFFD, and text of more
    than `most` characters ends in an ellipsis.

    Examples
    --------
    >>> printable("energy\\x1b[2J\\n(eV)"), printable("a long name", 6)
    ('energy�[2J (eV)', 'a lon…')
    """
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text)
    return text if most is None or len(text) <= most else text[: most - 1] + "…"
