"""How it is told: figures, report and command line."""
