"""Settings that may be asked for: sections with defaults and bounds, text to values, user files, printed names."""
