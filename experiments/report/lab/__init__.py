"""The lab: a page on this machine in which the real engine trains while a class watches.

`session` is what trains, goes back and is disturbed, and knows no page; `presets` has the lessons, `address`
reads and writes the link that sets every control, `lab_panels` draws, `widgets` joins these to one page, and
`server` serves it to this machine alone.
"""
