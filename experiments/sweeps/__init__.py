"""From an experiment to its records: plan, stacks, forecast, training, executors."""
