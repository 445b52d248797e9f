"""YAML -> Experiment; every check of what a user wrote.

`vocabulary` has the keys with their kinds and meanings, `kinds` what a value may be, `yaml_strict` and `tree`
read text with its places, `overrides` the command line, and `reading` puts it together. `run_filter` reads
which runs a figure shows, `matching` looks whether there are such runs, `cautions` says what is allowed and
may be a slip, and `schema` documents it all.
"""

from experiments.config.cautions import cautions
from experiments.config.reading import from_mapping, load, to_mapping
from experiments.config.tree import ConfigError
from experiments.config.vocabulary import Experiment, Recording, Run, keys_of

__all__ = [
    "ConfigError",
    "Experiment",
    "Recording",
    "Run",
    "cautions",
    "from_mapping",
    "keys_of",
    "load",
    "to_mapping",
]
