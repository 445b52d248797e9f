"""YAML -> Experiment; every check of what a user wrote.

`vocabulary` has the keys with their kinds and meanings, `kinds` what a value may be, `yaml_strict` and `tree`
read text with its places, `overrides` the command line, `reading` puts it together, `schema` documents it.
"""

from experiments.config.reading import from_mapping, load, to_mapping
from experiments.config.tree import ConfigError
from experiments.config.vocabulary import Experiment, Recording, Run, keys_of

__all__ = ["ConfigError", "Experiment", "Recording", "Run", "from_mapping", "keys_of", "load", "to_mapping"]
