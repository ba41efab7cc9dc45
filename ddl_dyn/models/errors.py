"""Why a step is not compiled."""


class CannotCompileError(Exception):
    """A step does something that cannot be written out; the message says what."""


class NoCompilerError(Exception):
    """There is no C++ compiler, or it failed; the message says which."""
