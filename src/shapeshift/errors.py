"""The one kind of error the package raises for input it cannot use."""


class ShapeshiftError(ValueError):
    """Input that cannot be used: the message says what was got, what is needed and what to do."""
