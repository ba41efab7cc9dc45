"""Errors of compilation."""


class CannotCompileError(Exception):
    """A step holds an operation that the code generator does not cover; the message names it."""


class NoCompilerError(Exception):
    """No C++ compiler was found, or it failed."""


class WrongResultError(Exception):
    """Compiled code disagrees with the ordinary path."""
