"""Everything that is printed in the papers, as data."""
