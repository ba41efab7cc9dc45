"""Statements of the generated code and the memory they work in."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from ddl_dyn.engine.cpp.values import Store, Value, fill, whole_store


@dataclass
class Line:
    """A line within a loop; where it does nothing but write to a store, that store."""

    code: str
    writes: Store | None = None


@dataclass
class Statement:
    """A piece of code (a loop's head and the lines in it, or all of it), and the stores that it reads and writes."""

    head: str
    writes: list[Store]
    reads: list[Store]
    lines: list[Line] = field(default_factory=list)

    @property
    def code(self) -> str:
        """The text."""
        return f"{self.head} {{ {' '.join(line.code for line in self.lines)} }}" if self.lines else self.head


@dataclass
class Memory:
    """Memory of the code of both sweeps: stores by kind, address tables and constants."""

    stores: dict[str, list[Store]] = field(default_factory=lambda: {"scratch": [], "tape": []})
    tables: list[Tensor] = field(default_factory=list)
    constants: list[Tensor] = field(default_factory=list)

    def new(self, size: int, kind: str) -> Store:
        """A store of its own."""
        store = Store(f"{kind}{len(self.stores[kind])}", size, kind)
        self.stores[kind].append(store)
        return store

    def constant(self, value: Tensor) -> Value:
        """A value that is known: one number, or a table of them."""
        flat = value.flatten()
        if not flat.numel() or bool((flat == flat[0]).all()):
            return fill(float(flat[0]) if flat.numel() else 0.0, value.shape)
        self.constants.append(flat)
        return whole_store(Store(f"constant{len(self.constants) - 1}", flat.numel(), "uniform"), value.shape)


def offsets(stores: list[Store]) -> tuple[dict[str, int], int]:
    """Offsets of stores side by side, and their size in all."""
    places, size = {}, 0
    for store in stores:
        places[store.name] = size
        size += store.size
    return places, size


def drop_unread(statements: list[Statement], ends: set[str]) -> None:
    """Leave out of loops what writes to scratch memory that no later statement reads."""
    read = set(ends)
    for statement in reversed(statements):
        if statement.lines:
            gone = {s.name for s in statement.writes if s.kind == "scratch" and s.name not in read}
            statement.writes = [s for s in statement.writes if s.name not in gone]
            statement.lines = [x for x in statement.lines if x.writes is None or x.writes.name not in gone]
        read.update(s.name for s in statement.reads)


def reuse(statements: list[Statement], ends: set[str]) -> tuple[dict[str, int], int]:
    """Offsets of scratch stores; memory that no later statement reads is used again, so that it stays in the cache."""
    drop_unread(statements, ends)
    last: dict[str, int] = {}
    for i, statement in enumerate(statements):
        for store in [*statement.writes, *statement.reads]:
            last[store.name] = len(statements) if store.name in ends else i
    places: dict[str, int] = {}
    free: list[tuple[int, int]] = []
    size = 0
    for i, statement in enumerate(statements):
        for store in statement.writes:
            if store.kind == "scratch" and store.name not in places:
                fit = min((f for f in free if f[1] >= store.size), key=lambda f: f[1], default=None)
                if fit is None:
                    places[store.name], size = size, size + store.size
                else:
                    free.remove(fit)
                    places[store.name] = fit[0]
                    if fit[1] > store.size:
                        free.append((fit[0] + store.size, fit[1] - store.size))
        dead = {u.name: u for u in (*statement.writes, *statement.reads) if u.kind == "scratch" and last[u.name] == i}
        free.extend((places[u.name], u.size) for u in dead.values())
    return places, size
