"""Configs written to a file, and what is said about them."""

from pathlib import Path

import pytest

from experiments.config import ConfigError, load

HOUSE = """\
question: Does it?
base: {dataset: digits, width: 32, lr: 1e-2}
sweep:
  activation: [sigmoid, leaky_relu( slope = .1 )]
  depth: [2, 4]
  seed: [0, 1, 2]
probes: [delta_norm, dw_norm]
watch: 8
figures: [gradient_by_layer]
"""
DIGITS_TO_TRAIN_ON = 1437  # of 1797, 360 held out: 20 %, rounded up


def written(folder: Path, content: str | bytes, name: str = "x.yaml") -> Path:
    """A file with this content."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def messages(path, overrides=()) -> list[str]:
    """What is wrong with a config; its folder's name is left out."""
    with pytest.raises(ConfigError) as error:
        load(path, overrides)
    assert str(error.value) == "\n".join(error.value.messages)
    return [message.replace(f"{Path(path).parent}/", "") for message in error.value.messages]
