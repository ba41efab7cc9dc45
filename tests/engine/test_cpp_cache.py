"""The cache of compiled code executes nothing but what this user has compiled."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest

from ddl_dyn.engine.cpp import toolchain

pytestmark = [
    pytest.mark.skipif(toolchain.compiler() is None, reason="no C++ compiler"),
    pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no owners of files"),
]


def code(number: int) -> list[tuple[str, str]]:
    return [(f'extern "C" int answer() {{ return {number}; }}', toolchain.QUICK)]


def answer(number: int) -> int:
    return int(toolchain.load(*code(number)[0]).answer())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "cache"
    monkeypatch.setenv("DDL_DYN_CACHE", str(place))
    toolchain._instead.cache_clear()
    return place


def compilations(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    made: list[Path] = []
    start = toolchain._started

    def counted(folder: Path, library: Path, *how: object) -> object:
        made.append(library)
        return start(folder, library, *how)  # type: ignore[arg-type]

    monkeypatch.setattr(toolchain, "_started", counted)
    return made


def test_a_library_of_ones_own_is_compiled_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = compilations(monkeypatch)
    mask = os.umask(0)
    try:
        assert toolchain.compile_libraries(code(1)) == toolchain.compile_libraries(code(1)) == made
    finally:
        os.umask(mask)
    assert cache.stat().st_mode & 0o777 == 0o700
    assert made[0].stat().st_mode & 0o777 == 0o700
    assert answer(1) == 1


@pytest.mark.parametrize("spoil", ["bytes", "digest", "no digest", "mode", "link"])
def test_a_library_that_is_not_what_was_compiled_is_compiled_again(
    cache: Path, spoil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (other,), (path,) = toolchain.compile_libraries(code(666)), toolchain.compile_libraries(code(7))
    if spoil == "bytes":
        path.write_bytes(other.read_bytes())
    elif spoil == "digest":
        path.with_suffix(".sha256").write_text("0" * 64)
    elif spoil == "no digest":
        path.with_suffix(".sha256").unlink()
    elif spoil == "mode":
        path.chmod(0o770)
    else:
        path.unlink()
        path.symlink_to(other)
    made = compilations(monkeypatch)
    assert answer(7) == 7
    assert made == [path]
    assert toolchain.is_private(cache / path.name)
    assert toolchain.compile_libraries(code(7)) == [path]
    assert len(made) == 1


@pytest.mark.parametrize("spoil", ["mode", "owner", "file"])
def test_a_folder_that_others_write_to_is_left_alone_with_one_warning(
    cache: Path, spoil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if spoil == "file":
        cache.write_text("")
    else:
        cache.mkdir(mode=0o700)
    if spoil == "mode":
        cache.chmod(0o777)
    if spoil == "owner":
        another = os.geteuid() + 1
        monkeypatch.setattr(os, "geteuid", lambda: another)
    with pytest.warns(RuntimeWarning, match=r"not kept in .*DDL_DYN_CACHE") as told:
        place = toolchain.folder()
    assert len(told) == 1
    monkeypatch.undo()
    monkeypatch.setenv("DDL_DYN_CACHE", str(cache))
    if spoil == "owner":
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert answer(3) == 3
        assert toolchain.folder() == place
        assert toolchain.remembered(["a"], lambda: "found") == "found"
    assert toolchain.is_private(place)
    assert cache.is_file() or list(cache.iterdir()) == []


def test_a_text_that_others_may_have_written_is_found_again(cache: Path) -> None:
    assert toolchain.remembered(["a"], lambda: "found") == "found"
    (path,) = cache.iterdir()
    assert toolchain.remembered(["a"], lambda: "again") == "found"
    path.chmod(0o666)
    assert toolchain.remembered(["a"], lambda: "again") == "again"
