"""What was measured: files, axes, preprocessing and synthetic signals."""
