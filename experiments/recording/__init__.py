"""Arrays of anyone's network -> Records, so that figures, diagnosis and report work on a foreign training.

`recorder` has what a user calls, `arrays` reads what was given, `consistency` checks it against the formulas
of a dense layer, `recorded_traces` measures it with the probes of `mlp`. No framework is imported; `recipes`
has a file for each of PyTorch, JAX and Keras, to be imported or copied. results/RECORDING.md is the guide.
"""

from experiments.recording.arrays import RecordingError
from experiments.recording.recorder import Recorder

__all__ = ["Recorder", "RecordingError"]
