"""What theory predicts, by quadrature, for any registered activation and for the very config at hand.

`predict` and `predict_run` give every layer's norms and moments at step 0 with a band, to be drawn and
judged beside the measured ones. `mean_field` holds the textbook's maps of one or two inputs, `closed_forms`
results with a formula of their own.
"""

from experiments.theory.inputs import Inputs
from experiments.theory.prediction import Prediction, predict, predict_run

__all__ = ["Inputs", "Prediction", "predict", "predict_run"]
