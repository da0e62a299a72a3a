"""What goes over the wire, and how the program's values become it: one file a subject."""
