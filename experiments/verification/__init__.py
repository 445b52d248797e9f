"""The verification of stored numbers: runs are repeated bit for bit, gradients computed by other methods."""

from experiments.verification.checks import Finding, stamp, verify
from experiments.verification.laws import CHECKS, Subject

__all__ = ["CHECKS", "Finding", "Subject", "stamp", "verify"]
