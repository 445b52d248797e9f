"""Re-derive stored numbers: records to the last bit, gradients by other means, laws they must obey."""

from experiments.verification.laws import CHECKS, Subject
from experiments.verification.verify import Finding, stamp, verify

__all__ = ["CHECKS", "Finding", "Subject", "stamp", "verify"]
