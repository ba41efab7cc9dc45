"""The runs folder in a browser: live lists and curves, selections compared and reported; it reads and never writes there."""
