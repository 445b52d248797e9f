"""The instrument: stacked from-scratch NumPy MLPs; arrays in, traces out."""
