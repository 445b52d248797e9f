"""Frame -> frame: ratios, lives of units, budget, selection, cost."""
