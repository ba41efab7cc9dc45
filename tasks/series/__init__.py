"""Time series: closed forms, and series observed or read from a file."""
