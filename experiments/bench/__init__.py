"""This engine beside what people would use instead: the same step, the same records, one interleaved run.

`workload` says what is computed, `alternatives` who computes it, `workers` and `timing` how it is timed,
`report` what is written. No alternative is needed: one that is not installed is named and left out.
"""
