"""The runs folder in a browser: lists and curves that are live, selections compared and reported; nothing is written there."""
