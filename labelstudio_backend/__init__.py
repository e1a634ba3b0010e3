"""Label Studio adapter of sam-plugins: the package marker; its tools arrive with the next versions."""
