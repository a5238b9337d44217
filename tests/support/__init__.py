"""What the tests share: the tables, how a kernel is called and judged, the checks."""
