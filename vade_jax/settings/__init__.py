"""The settings: their defaults, their rules, and the choices that depend on the rows. Nothing here trains."""
