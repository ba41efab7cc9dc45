"""Tables, figures, analyses and reports made from finished runs."""
