"""What is wrong with a network: mechanisms with their evidence, cures, reference ranges, a benchmark.

`signals` gathers what the records say of a run, `sightings` measures it, `mechanisms` is the table of what
can be wrong, `findings` makes sentences over seeds of it, `cures` proposes and `confirmation` tries what to
change. `reference` says what is normal without training, `rule_sets` has those of other tools, `operators`
and `benchmark` the ground truth.
"""

from experiments.diagnosis.findings import diagnose
from experiments.diagnosis.mechanisms import MECHANISMS

__all__ = ["MECHANISMS", "diagnose"]
