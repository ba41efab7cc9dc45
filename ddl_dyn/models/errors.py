"""Errors of compilation."""


class CannotCompileError(Exception):
    """A step holds an operation that the code generator does not cover; the message names it."""


class NoCompilerError(Exception):
    """No C++ compiler was found, or it failed."""
