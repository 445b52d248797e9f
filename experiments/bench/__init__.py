"""This engine beside what people would use instead: the same step and the same records, timed in turn.

`workload` says what is computed, `alternatives` who computes it, `workers` and `timing` how it is timed, and
`results` what is written. No alternative is needed: one that is not installed is named and left out.
"""
