"""The runs folder in a browser: live lists and curves, selections compared and reported; nothing is written there."""
