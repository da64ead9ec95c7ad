"""How good a label map is: confusion matrices, estimates from samples, and the report."""
