"""Re-derive stored numbers: records to the last bit, gradients by other means, laws they must obey."""

from experiments.verification.checks import Finding, stamp, verify
from experiments.verification.laws import CHECKS, Subject

__all__ = ["CHECKS", "Finding", "Subject", "stamp", "verify"]
