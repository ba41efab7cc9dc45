"""The study of docs/study.md: its questions as sweep files, their tables, figures and verdicts."""
