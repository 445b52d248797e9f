"""Files that lie where a user stands."""

import pytest


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a file of the working folder; the path is relative, as a user would give it."""
    monkeypatch.chdir(tmp_path)

    def _write(name: str, contents: bytes | str) -> str:
        (tmp_path / name).write_bytes(contents.encode() if isinstance(contents, str) else contents)
        return name

    return _write
