"""Functions from frame to frame: gradient ratios, lives of units, gradient budget, selection, cost."""
