"""Every setting, its default, its rule, and the settings that depend on the data."""
