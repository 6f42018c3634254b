"""What the admin site shows of the generator, each registered with its noun."""

from generator.explore import admin as reports

__all__ = ["reports"]
