"""msprof: runs a program with recording on, and turns what the library recorded into the vendor's files."""
