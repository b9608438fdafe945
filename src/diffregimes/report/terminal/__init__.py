"""What the command line prints: the bar while a run lasts, the plan before it, tables after it."""
